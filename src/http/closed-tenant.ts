import type { Context } from 'hono'
import { Problem } from '#src/domain/problem.ts'
import { can, type Actor } from '#src/domain/role.ts'
import type { TenantRecord } from '#src/domain/tenant-record.ts'
import type { ApiEnv } from './api.ts'

/** What people need to see why a tenant is closed, to sign out and to go to another one. */
const forPeople = /^\/v1\/(me|sessions|tenants|memberships)(\/|$)/
/** What its owners need to see why, to open it again, or to take their data along. */
const forOwners = /^\/v1\/(tenant|audit|privacy|access)(\/|$)/

/** A suspended tenant, or one that is about to be erased, answers 423 but for what undoes it. */
export function refuseClosedTenant(c: Context<ApiEnv>, tenant: TenantRecord, actor: Actor): void {
  if (!tenant.suspended && tenant.deletesAt === undefined) return
  if (actor.kind === 'user') {
    if (forPeople.test(c.req.path)) return
    if (forOwners.test(c.req.path) && can(actor, 'tenant:write')) return
  }
  throw new Problem(
    'locked',
    tenant.deletesAt === undefined
      ? 'This tenant is suspended; its owner sees why under its settings.'
      : `This tenant was deleted and is erased on ${tenant.deletesAt.slice(0, 10)}; until then its owner can restore it.`,
  )
}
