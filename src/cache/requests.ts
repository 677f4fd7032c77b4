import type { TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

/**
 * Requests of every tenant on one day: one hash, a field each, and the field `epoch`, which the tick gives it when it first
 * reads it. Its numbers only grow, and are read, never taken: reading twice counts nothing twice. When Redis loses the hash
 * another begins without an epoch, gets one of its own, and adds to what the first one had told.
 */
export function requestsKey(now: Date): string {
  const day = dayOf(now)
  return `public:requests:${day}`
}

/** Longer than the tick may be late. */
export const requestsKeptMs = 3 * 86_400_000

const dayOf = (now: Date): string => now.toISOString().slice(0, 10)

export type DayOfRequests = { day: string; epoch: string; counts: Record<string, number> }

/** What was counted yesterday and today. */
export async function readRequests(cache: Cache, now: Date): Promise<DayOfRequests[]> {
  const days = [new Date(now.getTime() - 86_400_000), now]
  return (await Promise.all(days.map((day) => readDay(cache, day)))).filter((day) => day !== undefined)
}

async function readDay(cache: Cache, now: Date): Promise<DayOfRequests | undefined> {
  const key = requestsKey(now)
  const fields = await readHash(cache, key)
  if (fields.size === 0) return undefined
  let epoch = fields.get('epoch')
  if (epoch === undefined) {
    await cache.hsetnx(key, 'epoch', crypto.randomUUID())
    epoch = String(await cache.hget(key, 'epoch'))
  }
  fields.delete('epoch')
  const counts: Record<string, number> = {}
  for (const [tenant, count] of fields) counts[tenant] = Number(count)
  return { day: dayOf(now), epoch, counts }
}

/** Part by part, so that no answer grows with the number of tenants. */
async function readHash(cache: Cache, key: string): Promise<Map<string, string>> {
  const fields = new Map<string, string>()
  let cursor = '0'
  do {
    const [next, part] = await cache.hscan(key, cursor, { count: 1_000 })
    for (let i = 0; i + 1 < part.length; i += 2) fields.set(String(part[i]), String(part[i + 1]))
    cursor = String(next)
  } while (cursor !== '0')
  return fields
}

/** One request that the script of limits could not count, for it did not know whose it was. */
export async function countRequest(cache: Cache, tenantId: TenantId, now: Date): Promise<void> {
  const key = requestsKey(now)
  await cache.pipeline().hincrby(key, tenantId, 1).pexpire(key, requestsKeptMs).exec()
}
