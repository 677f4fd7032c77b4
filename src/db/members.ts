import { sql } from 'drizzle-orm'
import type { Id, UserId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { TenantDb } from './database.ts'

export type Member = { userId: UserId; email: string; role: RoleName; joinedAt: string }
export type MemberFilter = {
  id?: UserId | undefined
  role?: RoleName | undefined
  /** A part of the address. */
  email?: string | undefined
  team?: Id<'team'> | undefined
}

/** In the order of their ids; one more than `limit` says that there are further ones. */
export const listMembers = (
  db: TenantDb,
  filter: MemberFilter,
  after: string | undefined,
  limit: number,
): Promise<Member[]> =>
  db.call(sql`app.members(${JSON.stringify(filter)}::jsonb, ${after ?? null}, ${limit + 1})`)

export async function findMember(db: TenantDb, id: UserId): Promise<Member | undefined> {
  const [found] = await listMembers(db, { id }, undefined, 1)
  return found
}

export type MemberRefusal = 'changed' | 'owners_only' | 'last_owner'
/** `keys` are the hashes of the person's own keys. */
export type MemberChange = { keys: string[] } | { refused: MemberRefusal }

/** Another role, or with undefined none, for who is in `was`; undefined without such a member. See app.change_member. */
export const changeMember = async (
  db: TenantDb,
  id: UserId,
  role: RoleName | undefined,
  was: RoleName,
): Promise<MemberChange | undefined> =>
  (await db.call<MemberChange | null>(sql`app.change_member(${id}, ${role ?? null}, ${was})`)) ?? undefined

/** See app.transfer_tenant. */
export const transferTenant = async (
  db: TenantDb,
  to: UserId,
): Promise<{ refused?: 'owners_only' } | undefined> =>
  (await db.call<{ refused?: 'owners_only' } | null>(sql`app.transfer_tenant(${to})`)) ?? undefined
