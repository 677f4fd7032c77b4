import { sql } from 'drizzle-orm'
import type { TenantId, UserId } from '#src/domain/id.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

/** What is kept of the caller, wherever; see app.export_me. */
export const exportMe = (db: TenantDb): Promise<Record<string, unknown>> => db.call(sql`app.export_me()`)

/** The names of the tenants that have no other owner, when that keeps the caller from going. */
export const eraseMe = (
  db: TenantDb,
): Promise<{ tenants: string[] } | { left: TenantId[]; keys: string[] }> => db.call(sql`app.erase_me()`)

/** False when nobody of this id has left the tenant. */
export const anonymiseFormer = (db: TenantDb, id: UserId): Promise<boolean> =>
  db.call(sql`app.anonymise_former(${id})`)

export type FormerMember = { userId: UserId; role: string; leftAt: Date; anonymisedAt: Date | null }

/** In the order of their ids; one more than `limit` says that there are further ones. */
export async function listFormerMembers(
  db: TenantDb,
  after: string | undefined,
  limit: number,
): Promise<FormerMember[]> {
  const [result] = await db.statements([
    statement(sql`
      select user_id as "userId", role, left_at as "leftAt", anonymised_at as "anonymisedAt" from former_members
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or user_id > ${after ?? null})
      order by user_id limit ${limit + 1}`),
  ])
  const rows = (result?.rows ?? []) as (Omit<FormerMember, Times> & {
    leftAt: string
    anonymisedAt: string | null
  })[]
  return rows.map((row) => ({
    ...row,
    leftAt: new Date(row.leftAt),
    anonymisedAt: row.anonymisedAt === null ? null : new Date(row.anonymisedAt),
  }))
}

type Times = 'leftAt' | 'anonymisedAt'
