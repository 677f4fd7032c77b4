import type { Id, TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

/** Longer than an access token lives, so none outlives the memory of its end. */
const keptS = 11 * 60

export const endedSessionKey = (tenantId: TenantId, family: Id<'session'>): string =>
  `${tenantId}:ended:${family}`

/** Makes the access tokens of the session worthless at once. */
export const cacheSessionEnd = (cache: Cache, tenantId: TenantId, family: Id<'session'>): Promise<unknown> =>
  cache.set(endedSessionKey(tenantId, family), '1', { ex: keptS })

/** The same for many, in one call. */
export async function cacheSessionEnds(
  cache: Cache,
  ended: readonly { tenantId: TenantId; sessionId: Id<'session'> }[],
): Promise<void> {
  if (ended.length === 0) return
  const calls = cache.pipeline()
  for (const { tenantId, sessionId } of ended)
    calls.set(endedSessionKey(tenantId, sessionId), '1', { ex: keptS })
  await calls.exec()
}
