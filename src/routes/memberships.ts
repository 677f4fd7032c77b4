import * as z from 'zod'
import { leaveTenant } from '#src/actions/members.ts'
import { eraseMe, exportMe } from '#src/actions/people.ts'
import { openTenant, readOwnTenants } from '#src/actions/tenants.ts'
import type { OwnTenant } from '#src/db/tenants.ts'
import { newRoutes } from '#src/http/api.ts'
import { clearSessionCookies } from '#src/http/cookies.ts'
import { created } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const newTenant = z.strictObject({ name: z.string().trim().min(1).max(100) })

const iso = (at: string) => new Date(at).toISOString()
const toJson = ({ joinedAt, suspendedAt, deletesAt, ...tenant }: OwnTenant) => ({
  ...tenant,
  joinedAt: iso(joinedAt),
  ...(suspendedAt ? { suspendedAt: iso(suspendedAt) } : {}),
  ...(deletesAt ? { deletesAt: iso(deletesAt) } : {}),
})

/** Where somebody belongs, under /v1/me: their tenants, their going, and what is kept of them. */
export const membershipRoutes = newRoutes()
  .get('/tenants', async (c) => c.json({ items: (await readOwnTenants(c.var.ctx)).map(toJson) }, 200))
  .post('/tenants', valid('json', newTenant), async (c) => {
    const made = await openTenant(c.var.ctx, c.req.valid('json').name)
    return created(c, '/v1/me/tenants', made)
  })
  .post('/leave', async (c) => {
    await leaveTenant(c.var.ctx)
    clearSessionCookies(c)
    return c.body(null, 204)
  })
  .post('/export', async (c) => {
    const file = await exportMe(c.var.ctx)
    return c.json(file, 200, {
      'Content-Disposition': 'attachment; filename="weir-export.json"',
      'Cache-Control': 'no-store',
    })
  })
  .delete('/', async (c) => {
    await eraseMe(c.var.ctx)
    clearSessionCookies(c)
    return c.body(null, 204)
  })
