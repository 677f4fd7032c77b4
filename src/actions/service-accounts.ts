import {
  deleteServiceAccount as deleteRow,
  getServiceAccount,
  insertServiceAccount,
  listServiceAccounts,
  updateServiceAccount,
  type ServiceAccount,
  type ServiceAccountChange,
} from '#src/db/service-accounts.ts'
import { newId, type Id } from '#src/domain/id.ts'
import type { Page, PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { actorName, can, permissionsOfRole } from '#src/domain/role.ts'
import { forget, reread } from './api-keys.ts'
import { allow, type Context } from './context.ts'

/** Makes a member that is no person, with a role that allows nothing that its maker may not do. */
export async function createServiceAccount(
  ctx: Context,
  { name, role }: { name: string; role: string },
): Promise<ServiceAccount> {
  allow(ctx, 'api-keys:write')
  refuseRole(ctx, role)
  return insertServiceAccount(ctx.tenantDb, {
    id: newId('serviceAccount', ctx.now()),
    name,
    role,
    createdBy: actorName(ctx.actor),
  })
}

export async function readServiceAccounts(ctx: Context, page: PageRequest): Promise<Page<ServiceAccount>> {
  allow(ctx, 'api-keys:read')
  return listServiceAccounts(ctx.tenantDb, page)
}

export async function readServiceAccount(ctx: Context, id: Id<'serviceAccount'>): Promise<ServiceAccount> {
  allow(ctx, 'api-keys:read')
  return getServiceAccount(ctx.tenantDb, id)
}

/** Renames it, gives it another role, or disables it: its keys are refused from now on, and good again when it is enabled. */
export async function changeServiceAccount(
  ctx: Context,
  id: Id<'serviceAccount'>,
  change: ServiceAccountChange,
): Promise<ServiceAccount> {
  allow(ctx, 'api-keys:write')
  if (change.role !== undefined) refuseRole(ctx, change.role)
  if (change.disabled === false) refuseRole(ctx, (await getServiceAccount(ctx.tenantDb, id)).role)
  const { account, hashes } = await updateServiceAccount(ctx.tenantDb, id, change)
  await reread(ctx, hashes)
  return account
}

/** Takes it away, and its keys with it. */
export async function removeServiceAccount(ctx: Context, id: Id<'serviceAccount'>): Promise<void> {
  allow(ctx, 'api-keys:write')
  await forget(ctx, await deleteRow(ctx.tenantDb, id))
}

function refuseRole(ctx: Context, role: string): void {
  const wanted = permissionsOfRole(role, ctx.tenant.roles)
  if (wanted.length === 0)
    throw new Problem('invalid', 'Some fields are not valid.', {
      fields: [{ path: 'role', message: 'is no role of this tenant' }],
    })
  const beyond = wanted.filter((one) => !can(ctx.actor, one))
  if (beyond.length > 0)
    throw new Problem('forbidden', `You cannot give what you do not have: ${beyond.join(', ')}.`)
}
