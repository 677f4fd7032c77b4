import * as z from 'zod'
import { columnName as column } from './column-name.ts'
import { duration, longerThanNothing } from './duration.ts'
import { rule } from './rule.ts'
import { whens } from './run-state.ts'
import { transforms, type TransformName } from './transform.ts'

/** What a name of a step, dataset or connection looks like: it is an SQL identifier too. */
const name = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and _, beginning with a letter')
const connectionName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')

const retry = z.strictObject({
  attempts: z.number().int().min(1).max(20).default(3),
  backoff: z.enum(['exponential', 'linear', 'constant']).default('exponential'),
  first: duration.optional(),
  max: duration.optional(),
  jitter: z.boolean().default(true),
})

const base = {
  id: name,
  after: z.array(name).default([]),
  when: z.enum(whens).default('all_success'),
  timeout: longerThanNothing.optional(),
  retry: retry.optional(),
}

const operators = (Object.keys(transforms) as TransformName[]).map((op) =>
  z.strictObject({ [op]: transforms[op] }),
)

/** One schema a kind of step. The key that names the kind is in every step of it and in no other. */
export const stepSchemas = {
  extract: z.strictObject({
    ...base,
    extract: z
      .strictObject({
        connection: connectionName,
        stream: z.string().min(1).max(200),
        mode: z.enum(['full_refresh', 'incremental']).default('full_refresh'),
        cursor: column.optional(),
        columns: z.array(column).min(1).optional(),
      })
      .refine(({ mode, cursor }) => mode !== 'incremental' || cursor !== undefined, {
        error: 'mode incremental needs a cursor column',
        path: ['cursor'],
      }),
    into: name,
  }),
  transform: z.strictObject({
    ...base,
    from: name,
    transform: z.array(z.record(z.string(), z.unknown())).min(1).max(100),
    into: name,
  }),
  sql: z.strictObject({
    ...base,
    sql: z.string().min(1).max(100_000),
    into: name,
    write: z.enum(['replace', 'append']).default('replace'),
  }),
  check: z.strictObject({ ...base, check: name, rules: z.array(rule).min(1).max(200) }),
  load: z.strictObject({
    ...base,
    load: z
      .strictObject({
        from: name,
        connection: connectionName,
        table: z.string().min(1).max(200),
        mode: z.enum(['append', 'overwrite', 'upsert']).default('append'),
        key: z.array(column).min(1).optional(),
      })
      .refine(({ mode, key }) => mode !== 'upsert' || key !== undefined, {
        error: 'mode upsert needs a key',
        path: ['key'],
      }),
  }),
  wait: z.strictObject({ ...base, wait: z.strictObject({ for: duration }) }),
} as const
export type StepKind = keyof typeof stepSchemas
export const stepKinds = Object.keys(stepSchemas) as StepKind[]

export const mostSteps = 500

const parameterTypes = ['text', 'integer', 'number', 'boolean', 'date', 'timestamp'] as const
export type ParameterType = (typeof parameterTypes)[number]

/** The definition but for its steps, which are each parsed by the schema of their kind. */
export const definitionSchema = z.strictObject({
  apiVersion: z.literal('weir/v1'),
  kind: z.literal('Pipeline'),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, beginning with a letter'),
  description: z.string().max(2_000).optional(),
  parameters: z
    .record(
      name,
      z.strictObject({
        type: z.enum(parameterTypes),
        default: z.union([z.string(), z.number(), z.boolean()]).optional(),
      }),
    )
    .default({}),
  triggers: z
    .array(
      z.strictObject({
        cron: z.string().min(1).max(100),
        timezone: z.string().min(1).max(100).default('UTC'),
      }),
    )
    .max(20)
    .default([]),
  concurrency: z.number().int().min(1).max(1_000).optional(),
  timeout: longerThanNothing.default(24 * 3_600_000),
  retry: retry.default({ attempts: 3, backoff: 'exponential', jitter: true }),
  steps: z.array(z.record(z.string(), z.unknown())).min(1).max(mostSteps),
})

/** For editors: the whole definition, as it is written. Made when it is first asked for, not when the Worker starts. */
export function pipelineJsonSchema(): z.core.JSONSchema.BaseSchema {
  schema ??= z.toJSONSchema(
    definitionSchema.extend({
      steps: z
        .array(
          z.union(
            stepKinds.map((kind) =>
              kind === 'transform'
                ? stepSchemas.transform.extend({ transform: z.array(z.union(operators)).min(1) })
                : stepSchemas[kind],
            ),
          ),
        )
        .min(1),
    }),
    { io: 'input', unrepresentable: 'any', target: 'draft-2020-12' },
  )
  return schema
}

let schema: z.core.JSONSchema.BaseSchema | undefined
