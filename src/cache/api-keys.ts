import type { Id, TenantId } from '#src/domain/id.ts'
import { isPermission, type Permission } from '#src/domain/role.ts'
import type { Cache } from './redis.ts'

export type KnownApiKey = {
  readonly tenantId: TenantId
  readonly keyId: Id<'apiKey'>
  readonly scopes: readonly Permission[]
  readonly expiresAt?: Date
}

/** A revoked key stays refused for longer than any answer from before its revocation can be under way. */
const revoked = 'revoked'
const keptS = 30
const revokedS = 90

/** The key's tenant is not known before it is read, so this is one of the few public names. */
export const apiKeyCacheKey = (hash: string): string => `public:api-key:${hash}`

export function cacheApiKey(cache: Cache, hash: string, key: KnownApiKey): Promise<unknown> {
  const value = `${key.tenantId} ${key.keyId} ${key.expiresAt?.getTime() ?? 0} ${key.scopes.join(',')}`
  return cache.set(apiKeyCacheKey(hash), value, { nx: true, ex: keptS })
}

/** From now on every isolate refuses the key, whatever it had read before. */
export const cacheRevocation = (cache: Cache, hash: string): Promise<unknown> =>
  cache.set(apiKeyCacheKey(hash), revoked, { ex: revokedS })

const shape = /^(ten_[0-9a-z]{26}) (key_[0-9a-z]{26}) (\d{1,15}) ([a-z:,-]*)$/

/** What was cached: a key, its revocation, or nothing that can be used. */
export function parseCachedApiKey(value: string | null): KnownApiKey | 'revoked' | undefined {
  if (value === revoked) return revoked
  const [, tenant, key, expires, scopes] = shape.exec(value ?? '') ?? []
  if (tenant === undefined || key === undefined || scopes === undefined) return undefined
  const expiresMs = Number(expires)
  return {
    tenantId: asTenantId(tenant),
    keyId: asKeyId(key),
    scopes: scopes.split(',').filter(isPermission),
    ...(expiresMs > 0 ? { expiresAt: new Date(expiresMs) } : {}),
  }
}

/** The shape above has just been matched; parsing ids one by one would cost every request. */
const asTenantId = (text: string): TenantId => text as TenantId
const asKeyId = (text: string): Id<'apiKey'> => text as Id<'apiKey'>
