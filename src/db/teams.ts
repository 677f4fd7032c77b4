import { sql, type SQL } from 'drizzle-orm'
import type { Id, UserId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type TeamId = Id<'team'>
export type Team = { id: TeamId; name: string; members: number; createdBy: string; createdAt: Date }

const columns = sql`t.id, t.name, t.created_by as "createdBy", t.created_at as "createdAt", (
  select count(*)::int from team_members m where m.tenant_id = t.tenant_id and m.team_id = t.id) as members`

async function ask(db: TenantDb, query: SQL): Promise<Team[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as (Omit<Team, 'createdAt'> & { createdAt: string })[]).map((row) => ({
    ...row,
    createdAt: new Date(row.createdAt),
  }))
}

export async function insertTeam(db: TenantDb, id: TeamId, name: string): Promise<Team> {
  const [made] = await ask(
    db,
    sql`insert into teams as t (tenant_id, id, name) values (${db.tenantId}, ${id}, ${name})
      on conflict do nothing returning ${columns}`,
  )
  if (!made) throw new Problem('conflict', `There is a team named "${name}" already.`)
  return made
}

export async function getTeam(db: TenantDb, id: TeamId): Promise<Team> {
  const [found] = await ask(
    db,
    sql`select ${columns} from teams t where t.tenant_id = ${db.tenantId} and t.id = ${id}`,
  )
  if (!found) throw notFound('team')
  return found
}

/** In the order of their ids; one more than `limit` says that there are further ones. */
export const listTeams = (db: TenantDb, after: string | undefined, limit: number): Promise<Team[]> =>
  ask(
    db,
    sql`select ${columns} from teams t
      where t.tenant_id = ${db.tenantId} and (${after ?? null}::text is null or t.id > ${after ?? null})
      order by t.id limit ${limit + 1}`,
  )

export async function renameTeam(db: TenantDb, id: TeamId, name: string): Promise<Team> {
  const [changed] = await ask(
    db,
    sql`update teams as t set name = ${name}, updated_at = now() where t.tenant_id = ${db.tenantId} and t.id = ${id}
      returning ${columns}`,
  )
  if (!changed) throw notFound('team')
  return changed
}

/** Its grants go with it. */
export async function deleteTeam(db: TenantDb, id: TeamId): Promise<void> {
  const [gone] = await ask(
    db,
    sql`delete from teams as t where t.tenant_id = ${db.tenantId} and t.id = ${id} returning ${columns}`,
  )
  if (!gone) throw notFound('team')
}

/** Doing it twice is no harm; who is no member of the tenant cannot be in its teams. */
export async function addToTeam(db: TenantDb, id: TeamId, userId: UserId): Promise<void> {
  await db.statements([
    statement(sql`insert into team_members (tenant_id, team_id, user_id)
      select t.tenant_id, t.id, m.user_id from teams t join memberships m on m.tenant_id = t.tenant_id and m.user_id = ${userId}
      where t.tenant_id = ${db.tenantId} and t.id = ${id} on conflict do nothing`),
  ])
  if (!(await isInTeam(db, id, userId))) {
    await getTeam(db, id)
    throw notFound('member')
  }
}

export async function removeFromTeam(db: TenantDb, id: TeamId, userId: UserId): Promise<void> {
  const [result] = await db.statements([
    statement(
      sql`delete from team_members where tenant_id = ${db.tenantId} and team_id = ${id} and user_id = ${userId} returning user_id`,
    ),
  ])
  if (result?.rows.length === 0) throw notFound('member')
}

async function isInTeam(db: TenantDb, id: TeamId, userId: UserId): Promise<boolean> {
  const [result] = await db.statements([
    statement(
      sql`select from team_members where tenant_id = ${db.tenantId} and team_id = ${id} and user_id = ${userId}`,
    ),
  ])
  return (result?.rowCount ?? 0) > 0
}
