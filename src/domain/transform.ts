import * as z from 'zod'
import { columnTypes } from './column.ts'
import { columnName as column } from './column-name.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()])

/** One condition on one column. A null never satisfies a comparison. */
const condition = z
  .strictObject({
    column,
    is: z.enum(['null', 'not_null']).optional(),
    eq: scalar.optional(),
    ne: scalar.optional(),
    gt: scalar.optional(),
    gte: scalar.optional(),
    lt: scalar.optional(),
    lte: scalar.optional(),
    in: z.array(scalar).min(1).max(1_000).optional(),
    between: z.tuple([scalar, scalar]).optional(),
    like: z.string().optional(),
  })
  .refine(({ column: _, ...tests }) => Object.keys(tests).length === 1, {
    error: 'must have exactly one of is, eq, ne, gt, gte, lt, lte, in, between, like',
  })
export type Condition = z.output<typeof condition>

/** Each operator is an object with one key, its name. */
export const transforms = {
  select: z.array(column).min(1),
  rename: z.record(column, column),
  drop: z.array(column).min(1),
  filter: condition,
  cast: z.record(column, z.enum(columnTypes)),
  /** Casts where a value that cannot be read becomes null. */
  try_cast: z.record(column, z.enum(columnTypes)),
  deduplicate: z.strictObject({
    by: z.array(column).min(1),
    orderBy: column.optional(),
    keep: z.enum(['first', 'last']).default('first'),
  }),
} as const
export type TransformName = keyof typeof transforms

export type Transform = {
  [N in TransformName]: { op: N; with: z.output<(typeof transforms)[N]> }
}[TransformName]
