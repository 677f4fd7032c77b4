import { sql } from 'drizzle-orm'
import type { ScimFilter, ScimGroup, ScimGroupWrite, ScimPage } from '#src/domain/scim.ts'
import type { TenantDb } from './database.ts'
import { filterSql, groupAttributes } from './scim-filter.ts'
import { versionsOf, type MemberChange } from './scim-users.ts'

const members = sql`coalesce((
  select jsonb_agg(jsonb_build_object('id', s.user_id, 'name', coalesce(s.display_name, s.user_name)) order by s.user_id)
  from scim_users s
  where s.tenant_id = t.tenant_id and (t.id = any (s.held_teams) or exists (
    select from team_members m where m.tenant_id = t.tenant_id and m.team_id = t.id and m.user_id = s.user_id))), '[]')`

const asGroup = (withMembers: boolean) => sql`jsonb_build_object(
  'id', t.id, 'name', t.name, 'externalId', t.external_id, 'version', t.scim_version,
  'createdAt', t.created_at, 'updatedAt', t.scim_at)
  ${withMembers ? sql`|| jsonb_build_object('members', ${members})` : sql``}`

/** The page, and how many there are in all; the database filters. */
export async function listScimGroups(
  db: TenantDb,
  filter: ScimFilter | undefined,
  { startIndex, count }: ScimPage,
  withMembers: boolean,
): Promise<{ total: number; items: ScimGroup[] }> {
  const condition = filter ? filterSql(filter, groupAttributes) : sql`true`
  const found = sql`from teams t where t.tenant_id = ${db.tenantId} and (${condition})`
  return db.call(sql`(select jsonb_build_object(
    'total', (select count(*) ${found}),
    'items', coalesce((select jsonb_agg(one order by id) from (
      select ${asGroup(withMembers)} as one, t.id as id ${found} order by t.id limit ${count} offset ${startIndex - 1}) page), '[]')))`)
}

export const findScimGroup = async (
  db: TenantDb,
  id: string,
  withMembers: boolean,
): Promise<ScimGroup | undefined> =>
  (await db.call<ScimGroup | null>(
    sql`(select ${asGroup(withMembers)} from teams t where t.tenant_id = ${db.tenantId} and t.id = ${id})`,
  )) ?? undefined

export type GroupOutcome =
  | { outcome: 'done'; changes: MemberChange[] }
  | { outcome: 'absent' | 'stale' | 'taken' | 'unknown_member' }

/** Makes or changes the team; members are added and taken out as named, whatever else happens to it at once. */
export const writeScimGroup = (
  db: TenantDb,
  id: string,
  isNew: boolean,
  versions: readonly number[] | 'any',
  change: ScimGroupWrite,
): Promise<GroupOutcome> =>
  db.call(
    sql`app.scim_write_group(${id}, ${isNew}, ${versionsOf(versions)}, ${JSON.stringify(change)}::jsonb)`,
  )

export const deleteScimGroup = (
  db: TenantDb,
  id: string,
  versions: readonly number[] | 'any',
): Promise<GroupOutcome> => db.call(sql`app.scim_delete_group(${id}, ${versionsOf(versions)})`)
