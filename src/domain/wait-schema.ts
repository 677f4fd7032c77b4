import * as z from 'zod'
import { duration, longerThanNothing } from './duration.ts'
import { connectionName, name, pipelineName, timezone } from './names.ts'
import { roles } from './role.ts'
import { isTemplate } from './template.ts'

const every = duration.refine((ms) => ms >= 1_000, { error: 'must be 1s at least' }).default(60_000)
const within = longerThanNothing.optional()

const moment = z.iso.datetime({ offset: true })

/** One schema a variant. The key that names the variant is in every wait of it and in no other. */
export const waitSchemas = {
  for: z.strictObject({ for: duration }),
  until: z.strictObject({
    until: z
      .string()
      .refine(
        (text) =>
          /^([01]\d|2[0-3]):[0-5]\d$/.test(text) || isTemplate(text) || moment.safeParse(text).success,
        {
          error:
            'must be a time such as 2026-12-24T08:00:00Z, a time of the day such as 08:00, or a template',
        },
      ),
    timezone: timezone.default('UTC'),
  }),
  object: z.strictObject({
    object: z.strictObject({ connection: connectionName, prefix: z.string().max(1_000).default('') }),
    every,
    within,
  }),
  sql: z.strictObject({
    sql: z.string().min(1).max(100_000),
    connection: connectionName.optional(),
    every,
    within,
  }),
  dataset: z.strictObject({ dataset: name, updatedWithin: longerThanNothing, every, within }),
  run: z.strictObject({ run: pipelineName, finishedWithin: longerThanNothing, every, within }),
  approval: z.strictObject({
    approval: z.strictObject({
      message: z.string().min(1).max(2_000).optional(),
      roles: z.array(z.enum(roles)).min(1).default(['owner', 'admin']),
    }),
    within,
  }),
} as const
export const waitKinds = Object.keys(waitSchemas) as (keyof typeof waitSchemas)[]
