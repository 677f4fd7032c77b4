import * as z from 'zod'
import { columnTypes } from './column.ts'
import { columnName as column } from './column-name.ts'
import { duration, longerThanNothing } from './duration.ts'
import { callSchema } from './call-schema.ts'
import { mostItems } from './item-place.ts'
import { connectionName, name, pipelineName } from './names.ts'
import { rule } from './rule.ts'
import { whens } from './run-state.ts'
import { isTemplate } from './template.ts'

export const retrySchema = z.strictObject({
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
  if: z.string().min(1).optional(),
  timeout: longerThanNothing.optional(),
  retry: retrySchema.optional(),
}
/** What steps of every kind have. */
export const baseSchema = z.object(base)

/** Names that templates have a use for already. */
const reserved = [
  'params',
  'outputs',
  'run',
  'callback',
  'secrets',
  'and',
  'or',
  'not',
  'in',
  'true',
  'false',
  'null',
]

/** What is parsed by a schema of its own, chosen by its keys. */
const later = z.record(z.string(), z.unknown())

export const mostInnerSteps = 100

const date = z.string().refine((text) => isTemplate(text) || z.iso.date().safeParse(text).success, {
  error: 'must be a date such as 2024-12-31 or a template for one',
})

/** What a map goes over: a list, the name of one, or dates. */
export const overSchemas = {
  list: z.array(z.json()).min(1).max(mostItems),
  name: z.string().regex(/^\$\{[^}]*\}$/, {
    error:
      'must be a list, a mapping with dates or the name of a list and nothing else, as in "${outputs.step.body}"',
  }),
  dates: z.strictObject({
    dates: z
      .strictObject({ from: date, to: date, by: z.enum(['day', 'month']).default('day') })
      .refine(({ from, to }) => isTemplate(from) || isTemplate(to) || from <= to, {
        error: 'must not be before from',
        path: ['to'],
      }),
  }),
}

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
    transform: z.array(later).min(1).max(100),
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
  wait: z.strictObject({ ...base, wait: later }),
  call: z.strictObject({ ...base, call: callSchema }),
  map: z.strictObject({
    ...base,
    map: z.strictObject({
      over: z.unknown(),
      as: name
        .refine((text) => !reserved.includes(text), { error: `must be none of ${reserved.join(', ')}` })
        .default('item'),
      atOnce: z.number().int().min(1).max(100).default(10),
      steps: z.array(later).min(1).max(mostInnerSteps),
    }),
  }),
  pipeline: z.strictObject({
    ...base,
    pipeline: z.strictObject({
      name: pipelineName,
      parameters: z.record(name, z.json()).default({}),
      wait: z.boolean().default(true),
    }),
  }),
  script: z.strictObject({
    ...base,
    script: z.strictObject({
      from: name,
      code: z.string().min(1).max(100_000),
      memoryMb: z.number().int().min(1).max(32).default(16),
      timeout: longerThanNothing
        .refine((ms) => ms <= 20_000, { error: 'must be 20s at most' })
        .default(10_000),
      columns: z
        .record(column, z.enum(columnTypes))
        .refine((columns) => Object.keys(columns).length > 0, { error: 'must name at least one column' })
        .refine((columns) => Object.keys(columns).length <= 1_600, {
          error: 'must name at most 1600 columns',
        }),
    }),
    into: name,
  }),
  notify: z.strictObject({
    ...base,
    notify: z.strictObject({ to: connectionName, message: z.string().min(1).max(10_000) }),
  }),
} as const
export const stepKinds = Object.keys(stepSchemas) as (keyof typeof stepSchemas)[]

/** What reads or makes no dataset: items worked on side by side would take each other's. */
export const innerKinds = ['wait', 'call', 'map', 'pipeline', 'notify'] as const satisfies typeof stepKinds
