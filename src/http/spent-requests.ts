import type { Context } from 'hono'
import type { Context as ActionContext } from '#src/actions/context.ts'
import { requireQuota } from '#src/actions/quotas.ts'
import type { ApiEnv } from './api.ts'

/** What is needed to see why, to sign out and to go to another tenant. */
const always = /^\/v1\/(me|sessions|tenants|memberships)(\/|$)/
const reading = /^\/v1\/(usage|tenant|access)(\/|$)/

/** When the month's requests are used up, the rest answers 402. That they are is in the record; how much, in the database. */
export async function refuseSpentRequests(c: Context<ApiEnv>, ctx: ActionContext): Promise<void> {
  if (!ctx.tenant.overQuota.includes('requests')) return
  const { path, method } = c.req
  if (always.test(path) || (reading.test(path) && (method === 'GET' || method === 'HEAD'))) return
  await requireQuota(ctx, 'requests')
}
