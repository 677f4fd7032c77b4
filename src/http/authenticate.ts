import type { Context } from 'hono'
import { apiKeyCacheKey, cacheApiKey, parseCachedApiKey, type KnownApiKey } from '#src/cache/api-keys.ts'
import { endedSessionKey } from '#src/cache/sessions.ts'
import { findApiKey } from '#src/db/api-keys.ts'
import { sessionStands } from '#src/db/sessions.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Actor } from '#src/domain/role.ts'
import type { ApiEnv } from './api.ts'
import type { Credential } from './credential.ts'
import { defer } from './defer.ts'
import { countLeniently, enforce } from './limits.ts'

/** Who it is, or why not; the reason is for the log alone. */
export type Identity = { ok: true; tenantId: TenantId; actor: Actor } | { ok: false; reason: string }

/** Checks the credential and counts the request, both in one call to Redis. */
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
  const { tenantId, userId, sessionId, role } = verdict.claims
  const bucket = { policy: services.limits.user, owner: `${tenantId}:${userId}` }
  const counted = await countLeniently(c, bucket, endedSessionKey(tenantId, sessionId))
  const ended = counted
    ? counted.read !== null
    : !(await sessionStands(services.database.tenant(tenantId, userId), sessionId))
  if (ended) return { ok: false, reason: 'session_ended' }
  if (counted) enforce(c, counted)
  return { ok: true, tenantId, actor: { kind: 'user', userId, role, sessionId } }
}

async function byApiKey(c: Context<ApiEnv>, key: string): Promise<Identity> {
  const { services } = c.get('gate')
  const hash = await sha256(key)
  const bucket = { policy: services.limits.apiKey, owner: `public:api-key:${hash.slice(0, 32)}` }
  const counted = await countLeniently(c, bucket, apiKeyCacheKey(hash))
  const cached = parseCachedApiKey(counted?.read ?? null)
  if (cached === 'revoked') return { ok: false, reason: 'key_revoked' }
  const known = cached ?? (await lookUp(c, hash, counted !== undefined))
  if (!known) return { ok: false, reason: 'key_unknown' }
  if (known.expiresAt && known.expiresAt <= services.now()) return { ok: false, reason: 'key_expired' }
  if (counted) enforce(c, counted)
  const { tenantId, keyId, scopes } = known
  return { ok: true, tenantId, actor: { kind: 'api-key', keyId, scopes } }
}

async function lookUp(c: Context<ApiEnv>, hash: string, keep: boolean): Promise<KnownApiKey | undefined> {
  const { services } = c.get('gate')
  const row = await findApiKey(services.database, hash)
  if (!row) return undefined
  const { expiresAt, ...rest } = row
  const known = expiresAt === null ? rest : { ...rest, expiresAt: new Date(expiresAt) }
  if (keep) defer(c, cacheApiKey(services.cache, hash, known))
  return known
}
