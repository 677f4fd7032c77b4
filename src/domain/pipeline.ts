import { conditionFault } from './condition-types.ts'
import { parseWith, type Complain } from './pipeline-parse.ts'
import { everyStep, pathText } from './step-path.ts'
import type { FieldProblem } from './problem.ts'
import { nameProblems } from './pipeline-names.ts'
import { definitionSchema, mostSteps } from './pipeline-schema.ts'
import { mostProblems, readSource, type SourceMap } from './pipeline-source.ts'
import { parseStep, policyOf } from './pipeline-steps.ts'
import { parameterFaults, type Parameter } from './parameters.ts'
import { parameterProblems } from './pipeline-parameters.ts'
import type { RetryPolicy } from './retry.ts'
import type { Step } from './step.ts'
import type { Notice, Trigger } from './trigger.ts'
import { parseTrigger } from './trigger-schema.ts'

export { pipelineJsonSchema } from './pipeline-schema.ts'
export type { Step } from './step.ts'

/** A pipeline as it is stored and run: parsed, with every default filled in and durations in milliseconds. */
export type Definition = {
  name: string
  description?: string
  /** By which its usage is told apart, such as `team: finance`. */
  tags?: Record<string, string>
  parameters: Record<string, Parameter>
  triggers: Trigger[]
  concurrency?: number
  /** From -10 to 10; the higher goes first. */
  priority: number
  timeoutMs: number
  sla?: { withinMs: number }
  retry: RetryPolicy
  notify: { on: Notice[]; to: string }[]
  steps: Step[]
}

export type Parsed =
  | { ok: true; definition: Definition; source: SourceMap }
  | { ok: false; fields: FieldProblem[] }

/** Reads a definition. Whatever is wrong is named by path, line and column, with what was expected; it never throws. */
export function parsePipeline(text: string, format: 'yaml' | 'json'): Parsed {
  const read = readSource(text, format)
  if (!read.ok) return read
  const { source } = read
  const fields: FieldProblem[] = []
  const complain: Complain = (path, message) => {
    if (fields.length < mostProblems) fields.push({ path: pathText(path), message, ...source.at(path) })
  }
  const whole = parseWith(definitionSchema, read.value, [], complain)
  const before = fields.length
  const steps = stepsOf(read.value).flatMap((step, i) => parseStep(step, ['steps', i], complain))
  const areSteps = fields.length === before
  const triggers = (whole?.triggers ?? []).flatMap((one, i) => parseTrigger(one, ['triggers', i], complain))
  const parameters = whole && parametersOf(whole.parameters)
  for (const [name, parameter] of Object.entries(parameters ?? {})) {
    for (const { key, message } of parameterFaults(parameter)) complain(['parameters', name, ...key], message)
  }
  // Where a step cannot be read, what others name of it is not wrong for that.
  if (parameters && areSteps) {
    const known = Object.keys(parameters)
    for (const { path, message } of [...parameterProblems(steps, known), ...nameProblems(steps, known)])
      complain(path, message)
    for (const { step, path } of everyStep(steps)) {
      const fault = step.if && conditionFault(step.if, parameters)
      if (fault !== undefined) complain([...path, 'if'], fault)
    }
  }
  if (!whole || !parameters || fields.length > 0) return { ok: false, fields }
  const { name, description, tags, concurrency, priority, timeout, sla, retry, notify } = whole
  const definition: Definition = {
    name,
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags }),
    parameters,
    triggers,
    ...(concurrency === undefined ? {} : { concurrency }),
    priority,
    timeoutMs: timeout,
    ...(sla ? { sla: { withinMs: sla.within } } : {}),
    retry: policyOf(retry),
    notify,
    steps,
  }
  return { ok: true, definition, source }
}

const stepsOf = (value: unknown): unknown[] => {
  const steps = typeof value === 'object' && value !== null && 'steps' in value ? value.steps : undefined
  return Array.isArray(steps) ? steps.slice(0, mostSteps) : []
}

type Written = { [K in keyof Parameter]: Parameter[K] | undefined } & Pick<Parameter, 'type'>

/** Without the keys that are not there. */
const parametersOf = (written: Record<string, Written>): Record<string, Parameter> =>
  Object.fromEntries(
    Object.entries(written).map(([name, parameter]) => [
      name,
      Object.fromEntries(Object.entries(parameter).filter(([, value]) => value !== undefined)) as Parameter,
    ]),
  )
