import { sql } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import { isPermission, type Permission } from '#src/domain/role.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type OwnRole = {
  id: Id<'role'>
  name: string
  permissions: Permission[]
  createdBy: string
  createdAt: Date
  updatedAt: Date
}

type Row = {
  id: Id<'role'>
  name: string
  permissions: string[]
  created_by: string
  created_at: string
  updated_at: string
}

const roleOf = (row: Row): OwnRole => ({
  id: row.id,
  name: row.name,
  permissions: row.permissions.filter(isPermission),
  createdBy: row.created_by,
  createdAt: new Date(row.created_at),
  updatedAt: new Date(row.updated_at),
})

const columns = sql`id, name, to_jsonb(permissions) as permissions, created_by, created_at, updated_at`

/** The tenant's own roles; there are a hundred of them at most. */
export async function listRoles(db: TenantDb): Promise<OwnRole[]> {
  const [result] = await db.statements([
    statement(sql`select ${columns} from roles where tenant_id = ${db.tenantId} order by name`),
  ])
  return ((result?.rows ?? []) as Row[]).map(roleOf)
}

export async function getRole(db: TenantDb, id: Id<'role'>): Promise<OwnRole> {
  const [result] = await db.statements([
    statement(sql`select ${columns} from roles where tenant_id = ${db.tenantId} and id = ${id}`),
  ])
  const [row] = (result?.rows ?? []) as Row[]
  if (!row) throw notFound('role')
  return roleOf(row)
}

const most = 100

export async function insertRole(
  db: TenantDb,
  role: { id: Id<'role'>; name: string; permissions: readonly Permission[] },
): Promise<OwnRole> {
  const [result] = await db.statements([
    statement(sql`
      insert into roles (tenant_id, id, name, permissions)
      select ${db.tenantId}, ${role.id}, ${role.name}, ${sql.param([...role.permissions])}::text[]
      where (select count(*) from roles where tenant_id = ${db.tenantId}) < ${most}
      on conflict (tenant_id, name) do nothing
      returning ${columns}`),
  ])
  const [row] = (result?.rows ?? []) as Row[]
  if (!row)
    throw new Problem('conflict', `There is a role "${role.name}" already, or there are ${most} roles.`)
  return roleOf(row)
}

/** Changes the role where it still allows what the caller has seen; undefined when it does not, or is gone. */
export async function updateRole(
  db: TenantDb,
  id: Id<'role'>,
  was: readonly Permission[],
  change: { name?: string | undefined; permissions?: readonly Permission[] | undefined },
): Promise<OwnRole | undefined> {
  const permissions = change.permissions === undefined ? null : sql.param([...change.permissions])
  const [result] = await db.statements([
    statement(sql`
      update roles set name = coalesce(${change.name ?? null}, name),
        permissions = coalesce(${permissions}::text[], permissions), updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and permissions @> ${sql.param([...was])}::text[]
        and permissions <@ ${sql.param([...was])}::text[]
      returning ${columns}`),
  ])
  const [row] = (result?.rows ?? []) as Row[]
  return row && roleOf(row)
}

/** 'used' while somebody has it. */
export async function deleteRole(db: TenantDb, id: Id<'role'>): Promise<'done' | 'used'> {
  const outcome = await db.call<'done' | 'used' | null>(sql`app.delete_role(${id})`)
  if (outcome === null) throw notFound('role')
  return outcome
}
