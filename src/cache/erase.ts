import type { TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

const aLook = 1_000

/**
 * Goes through some of the names there are and takes away those that begin with the tenant. `cursor` is where to go on;
 * without one it has been through all of them.
 */
export async function eraseKeys(
  cache: Cache,
  tenantId: TenantId,
  from: string | undefined,
  looks: number,
): Promise<{ cursor?: string; erased: number }> {
  let cursor = from ?? '0'
  let erased = 0
  for (let i = 0; i < looks; i++) {
    const [next, names] = await cache.scan(cursor, { match: `${tenantId}:*`, count: aLook })
    if (names.length > 0) erased += await cache.unlink(...names)
    cursor = next
    if (cursor === '0') return { erased }
  }
  return { cursor, erased }
}
