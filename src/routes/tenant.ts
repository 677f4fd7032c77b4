import * as z from 'zod'
import { limitRuns } from '#src/actions/alerts.ts'
import { limitTenant } from '#src/actions/control.ts'
import { newRoutes } from '#src/http/api.ts'
import { valid } from '#src/http/valid.ts'

/** Null lifts the limit. */
const change = z
  .strictObject({
    concurrency: z.number().int().min(1).max(10_000).nullable().optional(),
    /** What any run may take at most. */
    maxRunMs: z
      .number()
      .int()
      .min(1_000)
      .max(365 * 86_400_000)
      .nullable()
      .optional(),
    /** How long runs that are over are kept. */
    retentionDays: z.number().int().min(1).max(3_650).nullable().optional(),
  })
  .refine((given) => Object.keys(given).length > 0, { error: 'must change something' })

/** What holds for the tenant as a whole. */
export const tenantRoutes = newRoutes().patch('/', valid('json', change), async (c) => {
  const given = c.req.valid('json')
  await limitRuns(c.var.ctx, given)
  if (given.concurrency !== undefined) await limitTenant(c.var.ctx, given.concurrency)
  return c.json({ id: c.var.ctx.tenantId, ...given }, 200)
})
