import { sql } from 'drizzle-orm'
import type { UserId } from '#src/domain/id.ts'
import type { ScimFilter, ScimPage, ScimUser, ScimUserWrite } from '#src/domain/scim.ts'
import type { TenantDb } from './database.ts'
import type { EndedSession } from './sso-sign-ins.ts'
import { filterSql, userAttributes } from './scim-filter.ts'

/** A member whose role changed; without one they are no member now. */
export type MemberChange = { userId: UserId; role: string | null; keys: string[] }

const asUser = sql`jsonb_build_object(
  'id', u.user_id, 'userName', u.user_name, 'email', u.email, 'externalId', u.external_id, 'displayName', u.display_name,
  'givenName', u.given_name, 'familyName', u.family_name, 'active', u.active, 'attributes', u.attributes, 'version', u.version,
  'createdAt', u.created_at, 'updatedAt', u.updated_at,
  'groups', coalesce((
    select jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name) order by t.id) from teams t
    where t.tenant_id = u.tenant_id and (t.id = any (u.held_teams) or exists (
      select from team_members m where m.tenant_id = t.tenant_id and m.team_id = t.id and m.user_id = u.user_id))), '[]'))`

/** The page, and how many there are in all; the database filters. */
export async function listScimUsers(
  db: TenantDb,
  filter: ScimFilter | undefined,
  { startIndex, count }: ScimPage,
): Promise<{ total: number; items: ScimUser[] }> {
  const condition = filter ? filterSql(filter, userAttributes) : sql`true`
  const found = sql`from scim_users u where u.tenant_id = ${db.tenantId} and (${condition})`
  return db.call(sql`(select jsonb_build_object(
    'total', (select count(*) ${found}),
    'items', coalesce((select jsonb_agg(one order by id) from (
      select ${asUser} as one, u.user_id as id ${found} order by u.user_id limit ${count} offset ${startIndex - 1}) page), '[]')))`)
}

export const findScimUser = async (db: TenantDb, id: string): Promise<ScimUser | undefined> =>
  (await db.call<ScimUser | null>(
    sql`(select ${asUser} from scim_users u where u.tenant_id = ${db.tenantId} and u.user_id = ${id})`,
  )) ?? undefined

/** Those that the caller expects the row to be in; null for any. */
export const versionsOf = (versions: readonly number[] | 'any') => {
  const given = versions === 'any' ? null : sql.param([...versions])
  return sql`${given}::int[]`
}

export const createScimUser = (
  db: TenantDb,
  newId: UserId,
  user: ScimUserWrite,
): Promise<
  | { outcome: 'made'; userId: UserId; changes: MemberChange[]; ended: EndedSession[] }
  | { outcome: 'taken' | 'domain_not_owned' }
> => db.call(sql`app.scim_create_user(${newId}, ${JSON.stringify(user)}::jsonb)`)

export type UserOutcome =
  | { outcome: 'changed'; changes: MemberChange[] }
  | { outcome: 'absent' | 'stale' | 'taken' | 'domain_not_owned' }

export const updateScimUser = (
  db: TenantDb,
  id: string,
  versions: readonly number[] | 'any',
  user: ScimUserWrite,
): Promise<UserOutcome> =>
  db.call(sql`app.scim_update_user(${id}, ${versionsOf(versions)}, ${JSON.stringify(user)}::jsonb)`)

export const deleteScimUser = (
  db: TenantDb,
  id: string,
  versions: readonly number[] | 'any',
): Promise<UserOutcome> => db.call(sql`app.scim_delete_user(${id}, ${versionsOf(versions)})`)
