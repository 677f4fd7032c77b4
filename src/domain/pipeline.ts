import type * as z from 'zod'
import type { FieldProblem } from './problem.ts'
import {
  definitionSchema,
  mostSteps,
  stepKinds,
  stepSchemas,
  type ParameterType,
  type StepKind,
} from './pipeline-schema.ts'
import { mostProblems, readSource, type SourceMap } from './pipeline-source.ts'
import { wordsOf } from './pipeline-words.ts'
import { isOf, parameterWords } from './parameters.ts'
import { parameterProblems } from './pipeline-parameters.ts'
import type { RetryPolicy } from './retry.ts'
import type { Rule } from './rule.ts'
import type { When } from './run-state.ts'
import { scheduleProblem } from './schedule.ts'
import { nearest } from './spelling.ts'
import { transforms, type Transform, type TransformName } from './transform.ts'

export { pipelineJsonSchema } from './pipeline-schema.ts'

type StepBase = { id: string; after: string[]; when: When; timeoutMs?: number; retry?: RetryPolicy }

export type Step = StepBase &
  (
    | {
        kind: 'extract'
        extract: {
          connection: string
          stream: string
          mode: 'full_refresh' | 'incremental'
          cursor?: string | undefined
          columns?: string[] | undefined
        }
        into: string
      }
    | { kind: 'transform'; from: string; transform: Transform[]; into: string }
    | { kind: 'sql'; sql: string; into: string; write: 'replace' | 'append' }
    | { kind: 'check'; dataset: string; rules: Rule[] }
    | {
        kind: 'load'
        load: {
          from: string
          connection: string
          table: string
          mode: 'append' | 'overwrite' | 'upsert'
          key: string[]
        }
      }
    | { kind: 'wait'; forMs: number }
  )

/** A pipeline as it is stored and run: parsed, with every default filled in and durations in milliseconds. */
export type Definition = {
  name: string
  description?: string
  parameters: Record<string, { type: ParameterType; default?: string | number | boolean | undefined }>
  triggers: { cron: string; timezone: string }[]
  concurrency?: number
  timeoutMs: number
  retry: RetryPolicy
  steps: Step[]
}

export type Parsed =
  | { ok: true; definition: Definition; source: SourceMap }
  | { ok: false; fields: FieldProblem[] }

type Path = readonly PropertyKey[]
type Complain = (path: Path, message: string) => void

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
  const steps = stepsOf(read.value).flatMap((step, i) => parseStep(step, ['steps', i], complain))
  for (const [i, trigger] of (whole?.triggers ?? []).entries()) {
    const problem = scheduleProblem(trigger.cron, trigger.timezone)
    if (problem) complain(['triggers', i, 'cron'], problem)
  }
  for (const [name, { type, default: value }] of Object.entries(whole?.parameters ?? {})) {
    if (value !== undefined && !isOf(type, value))
      complain(
        ['parameters', name, 'default'],
        `must be ${parameterWords[type]}, as the parameter's type says`,
      )
  }
  if (whole)
    for (const { path, message } of parameterProblems(steps, Object.keys(whole.parameters)))
      complain(path, message)
  if (!whole || fields.length > 0) return { ok: false, fields }
  const { apiVersion: _, kind: __, timeout, retry, description, concurrency, ...rest } = whole
  const definition: Definition = {
    ...rest,
    ...(description === undefined ? {} : { description }),
    ...(concurrency === undefined ? {} : { concurrency }),
    timeoutMs: timeout,
    retry: policyOf(retry),
    steps,
  }
  return { ok: true, definition, source }
}

const stepsOf = (value: unknown): unknown[] => {
  const steps = typeof value === 'object' && value !== null && 'steps' in value ? value.steps : undefined
  return Array.isArray(steps) ? steps.slice(0, mostSteps) : []
}

function parseStep(value: unknown, path: Path, complain: Complain): Step[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const kinds = stepKinds.filter((kind) => kind in value)
  const [kind] = kinds
  if (!kind || kinds.length > 1) {
    const found =
      kinds.length > 1
        ? `found ${kinds.join(' and ')}`
        : `found ${Object.keys(value).join(', ') || 'nothing'}`
    complain(path, `a step has exactly one of ${stepKinds.join(', ')}; ${found}`)
    return []
  }
  return parseKind(kind, value, path, complain)
}

function parseKind(kind: StepKind, value: object, path: Path, complain: Complain): Step[] {
  switch (kind) {
    case 'extract': {
      const step = parseWith(stepSchemas.extract, value, path, complain)
      return step ? [{ ...baseOf(step), kind, extract: step.extract, into: step.into }] : []
    }
    case 'transform': {
      const step = parseWith(stepSchemas.transform, value, path, complain)
      if (!step) return []
      const transform = step.transform.flatMap((one, i) =>
        parseTransform(one, [...path, 'transform', i], complain),
      )
      return [{ ...baseOf(step), kind, from: step.from, transform, into: step.into }]
    }
    case 'sql': {
      const step = parseWith(stepSchemas.sql, value, path, complain)
      return step ? [{ ...baseOf(step), kind, sql: step.sql, into: step.into, write: step.write }] : []
    }
    case 'check': {
      const step = parseWith(stepSchemas.check, value, path, complain)
      return step ? [{ ...baseOf(step), kind, dataset: step.check, rules: step.rules }] : []
    }
    case 'load': {
      const step = parseWith(stepSchemas.load, value, path, complain)
      return step ? [{ ...baseOf(step), kind, load: { ...step.load, key: step.load.key ?? [] } }] : []
    }
    case 'wait': {
      const step = parseWith(stepSchemas.wait, value, path, complain)
      return step ? [{ ...baseOf(step), kind, forMs: step.wait.for }] : []
    }
  }
}

function parseTransform(value: Record<string, unknown>, path: Path, complain: Complain): Transform[] {
  const names = Object.keys(transforms) as TransformName[]
  const [op, ...more] = Object.keys(value)
  const known = names.find((one) => one === op)
  if (!known || more.length > 0) {
    const hint = op === undefined ? undefined : nearest(op, names)
    complain(
      path,
      `an operator is one of ${names.join(', ')}; found ${Object.keys(value).join(', ') || 'nothing'}${hint ? `: did you mean ${hint}?` : ''}`,
    )
    return []
  }
  const parsed = parseWith(transforms[known], value[known], [...path, known], complain)
  return parsed === undefined ? [] : [{ op: known, with: parsed } as Transform]
}

const baseOf = (
  step: z.output<typeof stepSchemas.wait> | Omit<z.output<typeof stepSchemas.wait>, 'wait'>,
): StepBase => ({
  id: step.id,
  after: step.after,
  when: step.when,
  ...(step.timeout === undefined ? {} : { timeoutMs: step.timeout }),
  ...(step.retry ? { retry: policyOf(step.retry) } : {}),
})

const policyOf = (retry: z.output<typeof definitionSchema>['retry']): RetryPolicy => ({
  attempts: retry.attempts,
  backoff: retry.backoff,
  firstMs: retry.first ?? 10_000,
  maxMs: Math.max(retry.max ?? 600_000, retry.first ?? 10_000),
  jitter: retry.jitter,
})

function parseWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  path: Path,
  complain: Complain,
): z.output<S> | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path)
      for (const key of issue.keys.slice(0, mostProblems)) {
        const hint = nearest(key, known)
        complain(
          [...path, ...issue.path, key],
          `there is no "${key}" here${hint ? `: did you mean "${hint}"?` : known.length > 0 ? `; there is ${known.join(', ')}` : ''}`,
        )
      }
    } else {
      complain([...path, ...issue.path], wordsOf(issue, value))
    }
  }
  return undefined
}

/** The keys that an object schema knows at a path, as far as it can be followed. */
function keysAt(schema: unknown, path: Path): string[] {
  let at: unknown = schema
  for (const key of path) at = typeof key === 'string' ? shapeOf(at)?.[key] : elementOf(at)
  return Object.keys(shapeOf(at) ?? {})
}

type Inner = { shape?: Record<string, unknown>; element?: unknown; innerType?: unknown; in?: unknown }
const innerOf = (schema: unknown): Inner | undefined => {
  const { _zod } = (schema ?? {}) as { _zod?: { def: Inner } }
  const def = _zod?.def
  return def?.innerType ? innerOf(def.innerType) : def
}
const shapeOf = (schema: unknown): Record<string, unknown> | undefined => innerOf(schema)?.shape
const elementOf = (schema: unknown): unknown => innerOf(schema)?.element

const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  )
