import { judgeOwnQuotas, readQuotas } from '#src/db/usage.ts'
import type { Problem } from '#src/domain/problem.ts'
import { quotaProblem, type QuotaName, type QuotaStanding } from '#src/domain/quota.ts'
import type { Context } from './context.ts'
import { refreshTenantRecord } from './tenant-record.ts'

/** Refuses with a 402 when as much is there already as the plan allows; `more` is what is to come on top. */
export async function requireQuota(ctx: Context, name: QuotaName, more = 1): Promise<void> {
  const standing = (await readQuotas(ctx.tenantDb)).find((one) => one.name === name)
  if (standing?.limit !== undefined && standing.used + more > standing.limit) throw quotaProblem(standing)
}

/** The 402 for what the database has just refused; every isolate learns of it at once. */
export function quotaRefusal(ctx: Context, standing: QuotaStanding): Problem {
  // What is refused has no effect that an Idempotency-Key would be held for.
  ctx.tenantDb.ending(undefined)
  ctx.defer(
    judgeOwnQuotas(ctx.tenantDb).then((changed) =>
      changed ? refreshTenantRecord(ctx, ctx.tenantId) : undefined,
    ),
  )
  return quotaProblem(standing, true)
}
