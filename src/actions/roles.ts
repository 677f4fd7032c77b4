import {
  deleteRole as deleteRoleRow,
  getRole,
  insertRole,
  listRoles,
  updateRole as updateRoleRow,
  type OwnRole,
} from '#src/db/roles.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { can, type Permission } from '#src/domain/role.ts'
import { allowEverywhere, type Context } from './context.ts'
import { refreshTenantRecord } from './tenant-record.ts'

export async function readRoles(ctx: Context): Promise<OwnRole[]> {
  allowEverywhere(ctx, 'access:read')
  return listRoles(ctx.tenantDb)
}

export async function readRole(ctx: Context, id: Id<'role'>): Promise<OwnRole> {
  allowEverywhere(ctx, 'access:read')
  return getRole(ctx.tenantDb, id)
}

export async function createRole(
  ctx: Context,
  input: { name: string; permissions: readonly Permission[] },
): Promise<OwnRole> {
  allowEverywhere(ctx, 'access:write')
  refuseBeyond(ctx, input.permissions, 'You cannot give what you do not have')
  const made = await insertRole(ctx.tenantDb, { id: newId('role', ctx.now()), ...input })
  await refreshTenantRecord(ctx, ctx.tenantId)
  return made
}

/** Holds for everybody who has the role from this moment on. */
export async function changeRole(
  ctx: Context,
  id: Id<'role'>,
  change: { name?: string | undefined; permissions?: readonly Permission[] | undefined },
): Promise<OwnRole> {
  allowEverywhere(ctx, 'access:write')
  const { permissions } = await getRole(ctx.tenantDb, id)
  refuseBeyond(ctx, permissions, 'You cannot change what may do more than you')
  refuseBeyond(ctx, change.permissions ?? [], 'You cannot give what you do not have')
  const changed = await updateRoleRow(ctx.tenantDb, id, permissions, change)
  if (!changed) throw new Problem('conflict', 'Somebody else has just changed this role; look again.')
  await refreshTenantRecord(ctx, ctx.tenantId)
  return changed
}

export async function removeRole(ctx: Context, id: Id<'role'>): Promise<void> {
  allowEverywhere(ctx, 'access:write')
  refuseBeyond(
    ctx,
    (await getRole(ctx.tenantDb, id)).permissions,
    'You cannot change what may do more than you',
  )
  if ((await deleteRoleRow(ctx.tenantDb, id)) === 'used')
    throw new Problem('conflict', 'Somebody has this role; give them another one first.')
  await refreshTenantRecord(ctx, ctx.tenantId)
}

function refuseBeyond(ctx: Context, wanted: readonly Permission[], words: string): void {
  const beyond = wanted.filter((one) => !can(ctx.actor, one))
  if (beyond.length > 0) throw new Problem('forbidden', `${words}: ${beyond.join(', ')}.`)
}
