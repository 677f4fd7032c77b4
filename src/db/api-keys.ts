import { and, desc, eq, isNull, lt, sql, type SQL } from 'drizzle-orm'
import type { Id, TenantId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound } from '#src/domain/problem.ts'
import type { Permission } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { apiKeys } from './schema.ts'

export type ApiKey = {
  id: Id<'apiKey'>
  name: string
  hint: string
  scopes: string[]
  createdBy: string
  createdAt: Date
  expiresAt: Date | null
  lastUsedAt: Date | null
}
export type NewApiKey = {
  id: Id<'apiKey'>
  name: string
  keyHash: string
  hint: string
  scopes: Permission[]
  createdBy: string
  createdAt: Date
  expiresAt: Date | null
}
export type LiveApiKey = {
  tenantId: TenantId
  keyId: Id<'apiKey'>
  scopes: Permission[]
  expiresAt: string | null
}

export const findApiKey = async (database: Database, hash: string): Promise<LiveApiKey | undefined> =>
  (await openCall<LiveApiKey | null>(database, sql`app.find_api_key(${hash})`)) ?? undefined

export async function insertApiKey(tdb: TenantDb, key: NewApiKey): Promise<void> {
  await tdb.run(tdb.sql.insert(apiKeys).values({ tenantId: tdb.tenantId, ...key }))
}

const live = (tdb: TenantDb, more: SQL | undefined) =>
  and(eq(apiKeys.tenantId, tdb.tenantId), isNull(apiKeys.revokedAt), more)

const shown = {
  id: apiKeys.id,
  name: apiKeys.name,
  hint: apiKeys.hint,
  scopes: apiKeys.scopes,
  createdBy: apiKeys.createdBy,
  createdAt: apiKeys.createdAt,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
}

/** Newest first; revoked ones are gone. */
export async function listApiKeys(tdb: TenantDb, { limit, after }: PageRequest): Promise<Page<ApiKey>> {
  const [before] = after ?? []
  const [rows] = await tdb.run(
    tdb.sql
      .select(shown)
      .from(apiKeys)
      .where(live(tdb, before === undefined ? undefined : lt(sql`${apiKeys.id}`, before)))
      .orderBy(desc(apiKeys.id))
      .limit(limit + 1),
  )
  return toPage(rows, limit, (row) => [row.id])
}

export async function getApiKey(tdb: TenantDb, id: Id<'apiKey'>): Promise<ApiKey> {
  const [rows] = await tdb.run(
    tdb.sql
      .select(shown)
      .from(apiKeys)
      .where(live(tdb, eq(apiKeys.id, id))),
  )
  const [row] = rows
  if (!row) throw notFound('API key')
  return row
}

/** Gives the hash of the key that is now refused. */
export async function revokeApiKey(tdb: TenantDb, id: Id<'apiKey'>): Promise<string> {
  const [rows] = await tdb.run(
    tdb.sql
      .update(apiKeys)
      .set({ revokedAt: sql`clock_timestamp()` })
      .where(live(tdb, eq(apiKeys.id, id)))
      .returning({ keyHash: apiKeys.keyHash }),
  )
  const [row] = rows
  if (!row) throw notFound('API key')
  return row.keyHash
}
