import type * as z from 'zod'
import { parseCondition } from './condition-parser.ts'
import { oneKey, parseWith, type Complain } from './pipeline-parse.ts'
import type { Path } from './step-path.ts'
import type { RetryPolicy } from './retry.ts'
import type { MapOver, Step, StepBase, StepKind, Wait } from './step.ts'
import {
  innerKinds,
  overSchemas,
  stepKinds,
  stepSchemas,
  type baseSchema,
  type retrySchema,
} from './step-schema.ts'
import { nearest } from './spelling.ts'
import { transforms, type Transform, type TransformName } from './transform.ts'
import { waitKinds, waitSchemas } from './wait-schema.ts'

/** @param maps how many maps the step is inside of */
export function parseStep(value: unknown, path: Path, complain: Complain, maps = 0): Step[] {
  const found = oneKey(value, stepKinds, 'a step', path, complain)
  if (!found) return []
  const kinds: readonly StepKind[] = innerKinds
  if (maps > 0 && !kinds.includes(found.key)) {
    complain([...path, found.key], `inside a map there is ${innerKinds.join(', ')}, and no ${found.key}`)
    return []
  }
  if (maps > 1 && found.key === 'map') {
    complain([...path, 'map'], 'a map goes inside a map once, not deeper')
    return []
  }
  const steps = parseKind(found.key, found.value, path, complain, maps)
  if (maps > 0 && steps.some(({ when }) => when !== 'all_success'))
    complain(
      [...path, 'when'],
      'steps inside a map follow each other as they are written, each when the one before it has succeeded; which of them an item leaves out is said with `if`',
    )
  return steps
}

function parseKind(kind: StepKind, value: object, path: Path, complain: Complain, maps: number): Step[] {
  switch (kind) {
    case 'extract': {
      const step = parseWith(stepSchemas.extract, value, path, complain)
      return step ? [{ ...baseOf(step, path, complain), kind, extract: step.extract, into: step.into }] : []
    }
    case 'transform': {
      const step = parseWith(stepSchemas.transform, value, path, complain)
      if (!step) return []
      const transform = step.transform.flatMap((one, i) =>
        parseTransform(one, [...path, 'transform', i], complain),
      )
      return [{ ...baseOf(step, path, complain), kind, from: step.from, transform, into: step.into }]
    }
    case 'sql': {
      const step = parseWith(stepSchemas.sql, value, path, complain)
      if (!step) return []
      const { sql, into, write } = step
      return [{ ...baseOf(step, path, complain), kind, sql, into, write }]
    }
    case 'check': {
      const step = parseWith(stepSchemas.check, value, path, complain)
      return step ? [{ ...baseOf(step, path, complain), kind, dataset: step.check, rules: step.rules }] : []
    }
    case 'load': {
      const step = parseWith(stepSchemas.load, value, path, complain)
      if (!step) return []
      return [{ ...baseOf(step, path, complain), kind, load: { ...step.load, key: step.load.key ?? [] } }]
    }
    case 'wait': {
      const step = parseWith(stepSchemas.wait, value, path, complain)
      const wait = step && parseWait(step.wait, [...path, 'wait'], complain)
      return wait ? [{ ...baseOf(step, path, complain), kind, ...wait }] : []
    }
    case 'call': {
      const step = parseWith(stepSchemas.call, value, path, complain)
      if (!step) return []
      const { url, body, wait, within, ...call } = step.call
      const rest = { ...(url === undefined ? {} : { url }), ...(body === undefined ? {} : { body }) }
      return [
        {
          ...baseOf(step, path, complain),
          kind,
          call: { ...call, ...rest, answer: wait, deadlineMs: within },
        },
      ]
    }
    case 'map': {
      const step = parseWith(stepSchemas.map, value, path, complain)
      if (!step) return []
      const over = parseOver(step.map.over, [...path, 'map', 'over'], complain)
      const steps = step.map.steps.flatMap((one, i) =>
        parseStep(one, [...path, 'map', 'steps', i], complain, maps + 1),
      )
      if (over === undefined) return []
      return [{ ...baseOf(step, path, complain), kind, map: { ...step.map, over, steps } }]
    }
    case 'pipeline': {
      const step = parseWith(stepSchemas.pipeline, value, path, complain)
      return step ? [{ ...baseOf(step, path, complain), kind, pipeline: step.pipeline }] : []
    }
    case 'script': {
      const step = parseWith(stepSchemas.script, value, path, complain)
      if (!step) return []
      const { timeout, columns, ...script } = step.script
      const typed = Object.entries(columns).map(([name, type]) => ({ name, type }))
      return [
        {
          ...baseOf(step, path, complain),
          kind,
          script: { ...script, timeoutMs: timeout, columns: typed },
          into: step.into,
        },
      ]
    }
    case 'notify': {
      const step = parseWith(stepSchemas.notify, value, path, complain)
      return step ? [{ ...baseOf(step, path, complain), kind, notify: step.notify }] : []
    }
  }
}

function parseOver(value: unknown, path: Path, complain: Complain): MapOver['over'] | undefined {
  if (Array.isArray(value)) return parseWith(overSchemas.list, value, path, complain)
  if (typeof value === 'object' && value !== null) return parseWith(overSchemas.dates, value, path, complain)
  return parseWith(overSchemas.name, value, path, complain)
}

function parseWait(
  value: unknown,
  path: Path,
  complain: Complain,
): { wait: Wait; deadlineMs?: number } | undefined {
  const deadline = (within: number | undefined) => (within === undefined ? {} : { deadlineMs: within })
  switch (oneKey(value, waitKinds, 'a wait', path, complain)?.key) {
    case undefined:
      return undefined
    case 'for': {
      const wait = parseWith(waitSchemas.for, value, path, complain)
      return wait && { wait }
    }
    case 'until': {
      const wait = parseWith(waitSchemas.until, value, path, complain)
      return wait && { wait }
    }
    case 'object': {
      const wait = parseWith(waitSchemas.object, value, path, complain)
      return (
        wait && {
          wait: { sensor: 'object', ...wait.object, everyMs: wait.every },
          ...deadline(wait.within),
        }
      )
    }
    case 'sql': {
      const parsed = parseWith(waitSchemas.sql, value, path, complain)
      if (!parsed) return undefined
      const { sql, connection, every, within } = parsed
      const named = connection === undefined ? {} : { connection }
      return { wait: { sensor: 'sql', sql, ...named, everyMs: every }, ...deadline(within) }
    }
    case 'dataset': {
      const wait = parseWith(waitSchemas.dataset, value, path, complain)
      if (!wait) return undefined
      const { dataset, updatedWithin: withinMs, every: everyMs } = wait
      return { wait: { sensor: 'dataset', dataset, withinMs, everyMs }, ...deadline(wait.within) }
    }
    case 'run': {
      const wait = parseWith(waitSchemas.run, value, path, complain)
      if (!wait) return undefined
      const { run: pipeline, finishedWithin: withinMs, every: everyMs } = wait
      return { wait: { sensor: 'run', pipeline, withinMs, everyMs }, ...deadline(wait.within) }
    }
    case 'approval': {
      const wait = parseWith(waitSchemas.approval, value, path, complain)
      if (!wait) return undefined
      const { message, roles } = wait.approval
      return {
        wait: { approval: { ...(message === undefined ? {} : { message }), roles } },
        ...deadline(wait.within),
      }
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

function baseOf(step: z.output<typeof baseSchema>, path: Path, complain: Complain): StepBase {
  const condition = step.if === undefined ? undefined : parseCondition(step.if)
  if (condition && !condition.ok) complain([...path, 'if'], condition.message)
  return {
    id: step.id,
    after: step.after,
    when: step.when,
    ...(condition?.ok ? { if: condition.condition } : {}),
    ...(step.timeout === undefined ? {} : { timeoutMs: step.timeout }),
    ...(step.retry ? { retry: policyOf(step.retry) } : {}),
  }
}

export const policyOf = (retry: z.output<typeof retrySchema>): RetryPolicy => ({
  attempts: retry.attempts,
  backoff: retry.backoff,
  firstMs: retry.first ?? 10_000,
  maxMs: Math.max(retry.max ?? 600_000, retry.first ?? 10_000),
  jitter: retry.jitter,
})
