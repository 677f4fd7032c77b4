import {
  getTenantSettings,
  updateTenantSettings,
  type SettingsChange,
  type TenantSettings,
} from '#src/db/tenants.ts'
import { isInRanges } from '#src/domain/address-range.ts'
import { Problem, type FieldProblem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { limitTenant } from './control.ts'
import { requireFreshProof } from './step-up.ts'
import { refreshTenantRecord } from './tenant-record.ts'

export async function readTenant(ctx: Context): Promise<TenantSettings> {
  allow(ctx, 'tenant:read')
  return getTenantSettings(ctx.tenantDb)
}

/**
 * Changes what the tenant decides, for every isolate at once. A list of addresses that the caller's own is not in is
 * refused unless `force` says that it is meant: nobody could undo it from here.
 */
export async function changeTenant(
  ctx: Context,
  expected: readonly number[] | 'any',
  { concurrency, ...change }: SettingsChange & { concurrency?: number | null | undefined },
  from: { address: string | undefined; force: boolean },
): Promise<TenantSettings> {
  allow(ctx, 'tenant:write')
  if ([concurrency, change.maxRunMs, change.retentionDays].some((given) => given !== undefined))
    allow(ctx, 'limits:write')
  if (change.mfaRoles !== undefined) await requireFreshProof(ctx)
  refuse(beyond(ctx, change))
  const { ipAllow = [] } = change
  if (ipAllow.length > 0 && !from.force && !isInRanges(from.address, ipAllow))
    throw new Problem('conflict', 'This list would lock you out. Repeat with ?force=true if you mean it.')
  const changed = await updateTenantSettings(ctx.tenantDb, expected, change)
  if (!changed) throw new Problem('precondition_failed', 'It has changed since you read it; read it again.')
  await refreshTenantRecord(ctx, ctx.tenantId)
  if (concurrency === undefined) return changed
  await limitTenant(ctx, concurrency)
  return getTenantSettings(ctx.tenantDb)
}

/** A tenant may ask less of us than everybody may, never more. */
function beyond(ctx: Context, { limits = {} }: SettingsChange): FieldProblem[] {
  const most = { user: ctx.services.limits.user.limit, apiKey: ctx.services.limits.apiKey.limit }
  return (['user', 'apiKey'] as const).flatMap((kind) => {
    const wanted = limits[kind]
    return wanted !== undefined && wanted > most[kind]
      ? [{ path: `limits.${kind}`, message: `must be ${most[kind]} at most` }]
      : []
  })
}

function refuse(fields: readonly FieldProblem[]): void {
  if (fields.length > 0) throw new Problem('invalid', 'Some fields are not valid.', { fields })
}
