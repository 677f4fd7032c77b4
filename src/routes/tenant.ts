import * as z from 'zod'
import { limitRuns } from '#src/actions/alerts.ts'
import { limitTenant } from '#src/actions/control.ts'
import { transferTenant } from '#src/actions/members.ts'
import { changeTenant, readTenant } from '#src/actions/tenant-settings.ts'
import { deleteTenant, restoreTenant, resumeTenant, suspendTenant } from '#src/actions/tenants.ts'
import type { TenantSettings } from '#src/db/tenants.ts'
import { addressRange } from '#src/domain/address-range.ts'
import { ids, type TenantId } from '#src/domain/id.ts'
import { roleName } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedVersions } from '#src/http/etag.ts'
import { single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const days = z.number().int().min(1).max(3_650).nullable().optional()
const sessionTime = (leastMinutes: number) =>
  z
    .number()
    .int()
    .min(leastMinutes * 60_000)
    .max(30 * 86_400_000)
    .nullable()
    .optional()
const aMinute = z.number().int().min(10).optional()
const origin = z
  .string()
  .max(255)
  .refine((text) => /^https?:/.test(text) && URL.parse(text)?.origin === text, {
    error: 'must be an origin such as https://app.example.com',
  })

/** What a run may take and how long runs are kept: for who may set limits. Null lifts one. */
const limits = {
  concurrency: z.number().int().min(1).max(10_000).nullable().optional(),
  maxRunMs: z
    .number()
    .int()
    .min(1_000)
    .max(365 * 86_400_000)
    .nullable()
    .optional(),
  retentionDays: days,
}
/** What the tenant decides of itself: for its owners. */
const settings = {
  name: z.string().trim().min(1).max(100).optional(),
  /** Requests a minute; what is not named is as the platform has it. */
  limits: z.strictObject({ user: aMinute, apiKey: aMinute }).optional(),
  origins: z.array(origin).max(50).optional(),
  ipAllow: z.array(addressRange).max(200).optional(),
  /** Who must show a second factor: roles, or all of them. */
  mfaRoles: z
    .array(z.union([roleName, z.literal('all')]))
    .max(50)
    .optional(),
  logRetentionDays: days,
  auditRetentionDays: days,
  /** Without being used, seven days without it; and however much it is used, thirty days without it. */
  sessionIdleMs: sessionTime(5),
  sessionMaxMs: sessionTime(15),
}
const change = z
  .strictObject({ ...limits, ...settings })
  .refine((given) => Object.keys(given).length > 0, { error: 'must change something' })
const force = z.strictObject({ force: z.enum(['true', 'false']).optional() })

const suspension = z.strictObject({ reason: z.string().trim().min(1).max(500) })
const deletion = z.strictObject({
  /** The tenant's, typed again. */
  name: z.string().max(100),
  graceDays: z.number().int().min(1).max(90).default(30),
})
const heir = z.strictObject({ userId: ids.user })

const iso = (at: string) => new Date(at).toISOString()

/** What is not set is not there. */
const toJson = (id: TenantId, found: TenantSettings) => {
  const { version: _version, createdAt, suspendedAt, deletesAt, ...rest } = found
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null))
  return {
    id,
    ...(set as Partial<typeof rest> &
      Pick<typeof rest, 'name' | 'limits' | 'origins' | 'ipAllow' | 'mfaRoles'>),
    createdAt: iso(createdAt),
    ...(suspendedAt ? { suspendedAt: iso(suspendedAt) } : {}),
    ...(deletesAt ? { deletesAt: iso(deletesAt) } : {}),
  }
}

/** What holds for the tenant as a whole. */
export const tenantRoutes = newRoutes()
  .get('/', async (c) => {
    const found = await readTenant(c.var.ctx)
    return single(c, toJson(c.var.ctx.tenantId, found), etagOf(found.version))
  })
  .patch('/', valid('query', force), valid('json', change), async (c) => {
    const { ctx } = c.var
    const { concurrency, maxRunMs, retentionDays, ...own } = c.req.valid('json')
    if (Object.keys(own).length === 0) {
      const given = { concurrency, maxRunMs, retentionDays }
      await limitRuns(ctx, given)
      if (concurrency !== undefined) await limitTenant(ctx, concurrency)
      return c.json({ id: ctx.tenantId, ...defined(given) }, 200)
    }
    const from = { address: c.env?.address, force: c.req.valid('query').force === 'true' }
    const changed = await changeTenant(ctx, expectedVersions(c), c.req.valid('json'), from)
    return c.json(toJson(ctx.tenantId, changed), 200, { ETag: etagOf(changed.version) })
  })
  .delete('/', valid('json', deletion), async (c) => {
    const at = await deleteTenant(c.var.ctx, c.req.valid('json'))
    return c.json({ id: c.var.ctx.tenantId, deletesAt: at.toISOString() }, 202)
  })
  .post('/restore', async (c) => {
    await restoreTenant(c.var.ctx)
    return c.body(null, 204)
  })
  .post('/suspend', valid('json', suspension), async (c) => {
    await suspendTenant(c.var.ctx, c.req.valid('json').reason)
    return c.body(null, 204)
  })
  .post('/resume', async (c) => {
    await resumeTenant(c.var.ctx)
    return c.body(null, 204)
  })
  .post('/transfer', valid('json', heir), async (c) => {
    await transferTenant(c.var.ctx, c.req.valid('json').userId)
    return c.body(null, 204)
  })

const defined = <T extends object>(given: T) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>
