import type { Id, ProjectId, TenantId } from '#src/domain/id.ts'
import type { KeyOwner, KnownApiKey } from '#src/domain/known-key.ts'
import { isPermission } from '#src/domain/role.ts'
import type { Cache } from './redis.ts'

/** A revoked key stays refused for longer than any answer from before its revocation can be under way. */
const revoked = 'revoked'
const keptS = 30
const revokedS = 90
/** Nothing that can be used, and nothing takes its place for as long as an older answer can be under way. */
const changed = 'changed'
const changedS = 5

/** The key's tenant is not known before it is read, so this is one of the few public names. */
export const apiKeyCacheKey = (hash: string): string => `public:api-key:${hash}`

/** Keeps what was read, unless the key has been revoked or changed meanwhile. */
export function cacheApiKey(cache: Cache, hash: string, key: KnownApiKey): Promise<unknown> {
  return cache.set(apiKeyCacheKey(hash), written(key), { nx: true, ex: keptS })
}

/** From now on every isolate refuses the keys, whatever it had read before; one call for all of them. */
export const cacheRevocation = (cache: Cache, ...hashes: string[]): Promise<void> =>
  setAll(cache, hashes, revoked, revokedS)

/** The keys are to be read anew: what is on its way from before is not kept. */
export const cacheChange = (cache: Cache, ...hashes: string[]): Promise<void> =>
  setAll(cache, hashes, changed, changedS)

async function setAll(cache: Cache, hashes: readonly string[], value: string, ex: number): Promise<void> {
  if (hashes.length === 0) return
  const calls = cache.pipeline()
  for (const hash of hashes) calls.set(apiKeyCacheKey(hash), value, { ex })
  await calls.exec()
}

/** The tenant, the key and its owner stand first: the script that counts requests reads them. */
const written = (key: KnownApiKey): string =>
  [
    key.tenantId,
    key.keyId,
    key.owner,
    key.role,
    key.projectId ?? '-',
    key.expiresAt?.getTime() ?? 0,
    key.ipAllow.join(',') || '-',
    key.scopes.join(','),
  ].join(' ')

const shape =
  /^(ten_[0-9a-z]{26}) (key_[0-9a-z]{26}) ((?:usr|sac)_[0-9a-z]{26}) ([a-z0-9_]{1,40}) (-|prj_[0-9a-z]{26}) (\d{1,15}) ([0-9a-fA-F:./,-]+) ([a-z:,-]*)$/

/** What was cached: a key, its revocation, or nothing that can be used. */
export function parseCachedApiKey(value: string | null): KnownApiKey | 'revoked' | undefined {
  if (value === revoked) return revoked
  const [, tenant, key, owner, role, project, expires, ranges, scopes] = shape.exec(value ?? '') ?? []
  if (
    tenant === undefined ||
    key === undefined ||
    owner === undefined ||
    role === undefined ||
    project === undefined ||
    ranges === undefined ||
    scopes === undefined
  )
    return undefined
  const expiresMs = Number(expires)
  return {
    tenantId: asTenantId(tenant),
    keyId: asKeyId(key),
    owner: asOwner(owner),
    role,
    scopes: scopes.split(',').filter(isPermission),
    ...(project === '-' ? {} : { projectId: asProjectId(project) }),
    ipAllow: ranges === '-' ? [] : ranges.split(','),
    ...(expiresMs > 0 ? { expiresAt: new Date(expiresMs) } : {}),
  }
}

/** The shape above has just been matched; parsing ids one by one would cost every request. */
const asTenantId = (text: string): TenantId => text as TenantId
const asKeyId = (text: string): Id<'apiKey'> => text as Id<'apiKey'>
const asOwner = (text: string): KeyOwner => text as KeyOwner
const asProjectId = (text: string): ProjectId => text as ProjectId
