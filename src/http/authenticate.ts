import type { Context } from 'hono'
import { apiKeyCacheKey, cacheApiKey, parseCachedApiKey } from '#src/cache/api-keys.ts'
import type { Count } from '#src/cache/limit.ts'
import { memberKey, parseMember } from '#src/cache/members.ts'
import { countRequest } from '#src/cache/requests.ts'
import { endedSessionKey } from '#src/cache/sessions.ts'
import { keepTenantRecord, parseTenantRecord, tenantRecordKey } from '#src/cache/tenant-record.ts'
import { findApiKey } from '#src/db/api-keys.ts'
import { getCallerState, getTenantRecord } from '#src/db/tenant-record.ts'
import { isInRanges } from '#src/domain/address-range.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { TenantId } from '#src/domain/id.ts'
import { isPerson, type KnownApiKey } from '#src/domain/known-key.ts'
import { Problem } from '#src/domain/problem.ts'
import { isRole, permissionsOfRole, type Actor } from '#src/domain/role.ts'
import type { TenantRecord } from '#src/domain/tenant-record.ts'
import type { ApiEnv } from './api.ts'
import type { Credential } from './credential.ts'
import { defer } from './defer.ts'
import { countLeniently, enforce } from './limits.ts'
import { noteRefusedPlace } from './refusal.ts'
import { requestOrigin } from './request-origin.ts'

/** Who it is, or why not; the reason is for the log alone. */
export type Identity =
  | { ok: true; tenantId: TenantId; tenant: TenantRecord; actor: Actor }
  | { ok: false; reason: string }

/** Checks the credential, counts the request and reads what is known of the tenant, all in one call to Redis. */
export async function identify(c: Context<ApiEnv>, credential: Credential): Promise<Identity> {
  switch (credential.kind) {
    case 'none':
      return { ok: false, reason: 'no_credential' }
    case 'bad':
      return { ok: false, reason: credential.reason }
    case 'token':
      return byToken(c, credential.token)
    case 'api-key':
      return byApiKey(c, credential.key)
  }
}

async function byToken(c: Context<ApiEnv>, token: string): Promise<Identity> {
  const { services, tokens } = c.get('gate')
  const verdict = await tokens.verify(token)
  if (!verdict.ok) return verdict
  const { tenantId, userId, sessionId } = verdict.claims
  const bucket = { policy: services.limits.user, owner: `${tenantId}:${userId}` }
  const counted = await countLeniently(c, bucket, {
    tenantId,
    endedKey: endedSessionKey(tenantId, sessionId),
    memberKey: memberKey(tenantId, userId),
    recordKey: tenantRecordKey(tenantId),
  })
  if (!counted) return withoutCache(c, verdict.claims)
  if (counted.known.credential !== null) return { ok: false, reason: 'session_ended' }
  const role = parseMember(counted.known.member) ?? verdict.claims.role
  if (role === 'gone') return { ok: false, reason: 'not_a_member' }
  enforce(c, counted)
  const tenant = await recordOf(c, tenantId, counted)
  if (!tenant) return { ok: false, reason: 'tenant_gone' }
  return { ok: true, tenantId, tenant, actor: person({ userId, sessionId }, role, tenant) }
}

type Person = Extract<Actor, { kind: 'user' }>

const person = (
  { userId, sessionId }: Pick<Person, 'userId' | 'sessionId'>,
  role: Person['role'],
  tenant: TenantRecord,
): Person => ({
  kind: 'user',
  userId,
  role,
  sessionId,
  ...(isRole(role) ? {} : { custom: permissionsOfRole(role, tenant.roles) }),
})

/** The database is asked what Redis would have told, in one call. */
async function withoutCache(
  c: Context<ApiEnv>,
  claims: { tenantId: TenantId } & Pick<Person, 'userId' | 'sessionId'>,
): Promise<Identity> {
  const { tenantId, userId, sessionId } = claims
  const { database } = c.get('gate').services
  const { stands, role, tenant } = await getCallerState(database.tenant(tenantId, userId), sessionId)
  if (!stands || role === null || !tenant) return { ok: false, reason: 'session_ended' }
  return { ok: true, tenantId, tenant, actor: person(claims, role, tenant) }
}

async function recordOf(
  c: Context<ApiEnv>,
  tenantId: TenantId,
  counted: Count | undefined,
): Promise<TenantRecord | undefined> {
  const cached = parseTenantRecord(counted?.known.record ?? null)
  if (cached) return cached
  const { services } = c.get('gate')
  const record = await getTenantRecord(services.database, tenantId)
  if (record && counted) defer(c, keepTenantRecord(services.cache, tenantId, record))
  return record
}

async function byApiKey(c: Context<ApiEnv>, key: string): Promise<Identity> {
  const { services } = c.get('gate')
  const hash = await sha256(key)
  const bucket = { policy: services.limits.apiKey, owner: `public:api-key:${hash.slice(0, 32)}` }
  const counted = await countLeniently(c, bucket, { apiKeyKey: apiKeyCacheKey(hash) })
  const cached = parseCachedApiKey(counted?.known.credential ?? null)
  if (cached === 'revoked') return { ok: false, reason: 'key_revoked' }
  const known = cached ?? (await lookUp(c, hash, counted !== undefined))
  if (!known) return { ok: false, reason: 'key_unknown' }
  if (known.expiresAt && known.expiresAt <= services.now()) return { ok: false, reason: 'key_expired' }
  const { tenantId } = known
  const role = (isPerson(known.owner) ? parseMember(counted?.known.member ?? null) : undefined) ?? known.role
  if (role === 'gone') return { ok: false, reason: 'not_a_member' }
  if (counted) enforce(c, counted)
  if (known.ipAllow.length > 0 && !isInRanges(c.env?.address, known.ipAllow)) {
    const request = { ...requestOrigin(c), credential: known.keyId }
    await noteRefusedPlace(c, services.database.tenant(tenantId, known.keyId, { request, access: '::::' }))
    throw new Problem('forbidden', 'This API key may not be used from your address.')
  }
  const tenant = await recordOf(c, tenantId, counted)
  if (!tenant) return { ok: false, reason: 'tenant_gone' }
  if (counted && !cached) defer(c, countRequest(services.cache, tenantId, services.now()))
  return { ok: true, tenantId, tenant, actor: actorOf({ ...known, role }, tenant) }
}

/** With what the key was given, as far as its owner may do that now. */
function actorOf({ keyId, owner, role, scopes, projectId }: KnownApiKey, tenant: TenantRecord): Actor {
  const allowed = permissionsOfRole(role, tenant.roles)
  return {
    kind: 'api-key',
    keyId,
    owner,
    role,
    asked: scopes,
    scopes: scopes.filter((scope) => allowed.includes(scope)),
    ...(projectId === undefined ? {} : { projectId }),
  }
}

async function lookUp(c: Context<ApiEnv>, hash: string, keep: boolean): Promise<KnownApiKey | undefined> {
  const { services } = c.get('gate')
  const known = await findApiKey(services.database, hash, c.env?.address)
  if (known && keep) defer(c, cacheApiKey(services.cache, hash, known))
  return known
}
