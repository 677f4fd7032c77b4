import { sql, type SQL } from 'drizzle-orm'
import type { Id, ProjectId, TenantId, UserId } from '#src/domain/id.ts'
import { isPerson, type KeyOwner, type KnownApiKey } from '#src/domain/known-key.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound } from '#src/domain/problem.ts'
import type { Permission } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

export type ApiKey = {
  id: Id<'apiKey'>
  name: string
  hint: string
  scopes: string[]
  owner: KeyOwner
  projectId: ProjectId | null
  ipAllow: string[]
  createdBy: string
  createdAt: string
  expiresAt: string | null
  lastUsedAt: string | null
  lastUsedFrom: string | null
  replacedBy: Id<'apiKey'> | null
}
export type NewApiKey = {
  id: Id<'apiKey'>
  name: string
  keyHash: string
  hint: string
  scopes: readonly Permission[]
  owner: KeyOwner
  projectId: ProjectId | undefined
  ipAllow: readonly string[]
  createdBy: string
  createdAt: Date
  expiresAt: Date | undefined
}

type Found = {
  tenantId: TenantId
  keyId: Id<'apiKey'>
  scopes: Permission[]
  role: string
  userId?: UserId
  serviceAccountId?: Id<'serviceAccount'>
  projectId?: ProjectId
  ipAllow: string[]
  expiresAt?: string
}

/** A live key by its hash, and a note that it was used from there; see app.find_api_key. */
export async function findApiKey(
  database: Database,
  hash: string,
  address: string | undefined,
): Promise<KnownApiKey | undefined> {
  const found = await openCall<Found | null>(database, sql`app.find_api_key(${hash}, ${address ?? null})`)
  if (!found) return undefined
  const { userId, serviceAccountId, expiresAt, ...rest } = found
  const owner = userId ?? serviceAccountId
  if (!owner) return undefined
  return { ...rest, owner, ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }) }
}

const array = (texts: readonly string[]): SQL => sql`${sql.param([...texts])}::text[]`
const userOf = (owner: KeyOwner): string | null => (isPerson(owner) ? owner : null)
const accountOf = (owner: KeyOwner): string | null => (isPerson(owner) ? null : owner)

/** False when there is no such project or service account. */
export async function insertApiKey(tdb: TenantDb, key: NewApiKey): Promise<boolean> {
  const account = accountOf(key.owner)
  const project = key.projectId ?? null
  const [made] = await tdb
    .statements([
      statement(sql`
      insert into api_keys (tenant_id, id, name, key_hash, hint, scopes, user_id, service_account_id, project_id, ip_allow,
        created_by, created_at, expires_at, lifetime)
      select ${tdb.tenantId}, ${key.id}, ${key.name}, ${key.keyHash}, ${key.hint}, ${array(key.scopes)}, ${userOf(key.owner)}::text,
        ${account}::text, ${project}::text, ${array(key.ipAllow)}, ${key.createdBy}, ${key.createdAt.toISOString()}::timestamptz,
        ${key.expiresAt?.toISOString() ?? null}::timestamptz,
        ${key.expiresAt?.toISOString() ?? null}::timestamptz - ${key.createdAt.toISOString()}::timestamptz
      where ${account}::text is null or exists (
        select from service_accounts where tenant_id = ${tdb.tenantId} and id = ${account})
      returning id`),
    ])
    .catch((error: unknown) => {
      if (constraintOf(error) === 'api_keys_project') return []
      throw error
    })
  return made?.rows.length === 1
}

const constraintOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'constraint' in error ? error.constraint : undefined

const shown =
  sql.raw(`id, name, hint, scopes, coalesce(user_id, service_account_id) as owner, project_id as "projectId",
  ip_allow as "ipAllow", created_by as "createdBy", created_at as "createdAt", expires_at as "expiresAt",
  last_used_at as "lastUsedAt", last_used_from as "lastUsedFrom", replaced_by as "replacedBy"`)

export type KeyFilter = { owner?: KeyOwner | undefined; projectId?: ProjectId | undefined }

/** Newest first; revoked ones are gone. */
export async function listApiKeys(
  tdb: TenantDb,
  { owner, projectId }: KeyFilter,
  { limit, after }: PageRequest,
): Promise<Page<ApiKey>> {
  const [found] = await tdb.statements([
    statement(sql`
      select ${shown} from api_keys
      where tenant_id = ${tdb.tenantId} and revoked_at is null
        and (${owner ?? null}::text is null or coalesce(user_id, service_account_id) = ${owner ?? null})
        and (${projectId ?? null}::text is null or project_id = ${projectId ?? null})
        and (${after?.[0] ?? null}::text is null or id < ${after?.[0] ?? null})
      order by id desc limit ${limit + 1}`),
  ])
  return toPage((found?.rows ?? []) as ApiKey[], limit, (row) => [row.id])
}

/** A key that is not revoked. */
export async function getApiKey(tdb: TenantDb, id: Id<'apiKey'>): Promise<ApiKey> {
  const [found] = await tdb.statements([
    statement(sql`
      select ${shown} from api_keys where tenant_id = ${tdb.tenantId} and id = ${id} and revoked_at is null`),
  ])
  const [row] = (found?.rows ?? []) as ApiKey[]
  if (!row) throw notFound('API key')
  return row
}

/** Which keys are meant. */
export type KeysOf = { id: Id<'apiKey'> } | { owner: KeyOwner } | { all: true }

/** Ends keys and gives the hashes of those that are now refused. */
export async function revokeApiKeys(tdb: TenantDb, of: KeysOf): Promise<string[]> {
  const which =
    'id' in of
      ? sql`and id = ${of.id}`
      : 'owner' in of
        ? sql`and coalesce(user_id, service_account_id) = ${of.owner}`
        : sql``
  const [ended] = await tdb.statements([
    statement(sql`
      update api_keys set revoked_at = clock_timestamp()
      where tenant_id = ${tdb.tenantId} and revoked_at is null ${which}
      returning key_hash as hash`),
  ])
  return (ended?.rows ?? []).map((row) => String(row['hash']))
}

/**
 * Makes the key that takes the place of another one, like it but for its text, and has the old one end at `endsAt` at the
 * latest; once. Gives the new key and the hash of the old one. A key that would have lasted so long from its making lasts as long again.
 */
export async function replaceApiKey(
  tdb: TenantDb,
  old: Id<'apiKey'>,
  made: { id: Id<'apiKey'>; keyHash: string; hint: string; createdBy: string; now: Date; endsAt: Date },
): Promise<{ hash: string; key: ApiKey } | undefined> {
  const now = sql`${made.now.toISOString()}::timestamptz`
  const [changed, , read] = await tdb.statements([
    statement(sql`
      update api_keys set replaced_by = ${made.id}, expires_at = least(expires_at, ${made.endsAt.toISOString()}::timestamptz)
      where tenant_id = ${tdb.tenantId} and id = ${old} and revoked_at is null and replaced_by is null
        and (expires_at is null or expires_at > ${now})
      returning key_hash as hash`),
    statement(sql`
      insert into api_keys (tenant_id, id, name, key_hash, hint, scopes, user_id, service_account_id, project_id, ip_allow,
        created_by, created_at, expires_at, lifetime)
      select tenant_id, ${made.id}, name, ${made.keyHash}, ${made.hint}, scopes, user_id, service_account_id, project_id, ip_allow,
        ${made.createdBy}, ${now}, ${now} + lifetime, lifetime
      from api_keys where tenant_id = ${tdb.tenantId} and id = ${old} and replaced_by = ${made.id}`),
    statement(sql`select ${shown} from api_keys where tenant_id = ${tdb.tenantId} and id = ${made.id}`),
  ])
  const [before] = changed?.rows ?? []
  const [key] = (read?.rows ?? []) as ApiKey[]
  return before && key ? { hash: String(before['hash']), key } : undefined
}

export type FoundKey = {
  tenantId: TenantId
  keyId: Id<'apiKey'>
  name: string
  hint: string
  emails: string[]
}

/** Ends a key that somebody found; undefined when there is nothing to end. */
export const endFoundKey = async (database: Database, hash: string): Promise<FoundKey | undefined> =>
  (await openCall<FoundKey | null>(database, sql`app.end_found_key(${hash})`)) ?? undefined
