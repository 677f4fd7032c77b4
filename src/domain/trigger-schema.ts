import * as z from 'zod'
import { duration } from './duration.ts'
import { connectionName, name, pipelineName } from './names.ts'
import { oneKey, parseWith, type Complain } from './pipeline-parse.ts'
import type { Path } from './step-path.ts'
import { catchUps, overlaps, scheduleProblem } from './schedule.ts'
import { ends, type Trigger } from './trigger.ts'

const dayMs = 86_400_000

/** One schema a kind of trigger. The key that names the kind is in every trigger of it and in no other. */
export const triggerSchemas = {
  cron: z.strictObject({
    cron: z.string().min(1).max(100),
    timezone: z.string().min(1).max(100).default('UTC'),
    calendar: connectionName.optional(),
    catchUp: z.enum(catchUps).default('last'),
    overlap: z.enum(overlaps).default('queue'),
    jitter: duration.refine((ms) => ms <= dayMs, { error: 'must be a day at most' }).default(0),
    parameters: z.record(name, z.union([z.string(), z.number(), z.boolean()])).optional(),
  }),
  datasets: z.strictObject({
    datasets: z.array(name).min(1).max(100),
    when: z.enum(['any', 'all']).default('any'),
  }),
  webhook: z.strictObject({ webhook: z.literal(true) }),
  pipeline: z.strictObject({
    pipeline: pipelineName,
    on: z.array(z.enum(ends)).min(1).default(['succeeded']),
  }),
} as const
const kinds = Object.keys(triggerSchemas) as (keyof typeof triggerSchemas)[]

export function parseTrigger(value: unknown, path: Path, complain: Complain): Trigger[] {
  const found = oneKey(value, kinds, 'a trigger', path, complain)
  switch (found?.key) {
    case undefined:
      return []
    case 'cron': {
      const parsed = parseWith(triggerSchemas.cron, value, path, complain)
      if (!parsed) return []
      const problem = scheduleProblem(parsed.cron, parsed.timezone)
      if (problem) complain([...path, 'cron'], problem)
      const { jitter, calendar, parameters, ...rest } = parsed
      return [
        {
          ...rest,
          jitterMs: jitter,
          ...(calendar === undefined ? {} : { calendar }),
          ...(parameters === undefined ? {} : { parameters }),
        },
      ]
    }
    case 'datasets':
    case 'webhook':
    case 'pipeline': {
      const parsed = parseWith(triggerSchemas[found.key], value, path, complain)
      return parsed ? [parsed] : []
    }
  }
}
