import * as z from 'zod'
import { columnName as column } from './column-name.ts'

const common = {
  onFail: z.enum(['fail', 'warn', 'reject']).default('fail'),
}
/** The fraction of the values looked at (nulls are not) that must pass. */
const mostly = { mostly: z.number().gt(0).max(1).default(1) }
const scalar = z.union([z.string(), z.number(), z.boolean()])

const rules = [
  z.strictObject({ rule: z.literal('not_null'), column, ...common, ...mostly }),
  z.strictObject({ rule: z.literal('unique'), column, ...common, ...mostly }),
  z.strictObject({
    rule: z.literal('in_set'),
    column,
    values: z.array(scalar).min(1).max(10_000),
    ...common,
    ...mostly,
  }),
  z
    .strictObject({
      rule: z.literal('between'),
      column,
      min: scalar.optional(),
      max: scalar.optional(),
      ...common,
      ...mostly,
    })
    .refine(({ min, max }) => min !== undefined || max !== undefined, { error: 'needs min, max or both' }),
  z.strictObject({
    rule: z.literal('matches'),
    column,
    pattern: z
      .string()
      .min(1)
      .max(1_000)
      .refine((pattern) => !pattern.includes('\0') && pattern.isWellFormed(), {
        error: 'holds a character that no text has',
      }),
    ...common,
    ...mostly,
  }),
  z
    .strictObject({
      rule: z.literal('row_count'),
      min: z.number().int().min(0).optional(),
      max: z.number().int().min(0).optional(),
      onFail: z.enum(['fail', 'warn']).default('fail'),
    })
    .refine(({ min, max }) => min !== undefined || max !== undefined, { error: 'needs min, max or both' }),
] as const

export const rule = z.discriminatedUnion('rule', rules)
export type Rule = z.output<typeof rule>
export type OnFail = 'fail' | 'warn' | 'reject'
