import type { RunId, TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

const channelOf = (tenantId: TenantId, runId: RunId): string => `${tenantId}:live:${runId}`

/** What happens within this is one word; the last one, which says that the run is over, is said at once. */
const quietMs = 250

export type TellLive = (tenantId: TenantId, runId: RunId, last?: boolean) => Promise<void>

/** Says that a run moved. What happened is in the database; losing the word only makes a watcher a little late. */
export function liveTeller(cache: Cache): TellLive {
  const soon = new Map<RunId, ReturnType<typeof setTimeout>>()
  const say = async (tenantId: TenantId, runId: RunId) => {
    clearTimeout(soon.get(runId))
    soon.delete(runId)
    await cache.publish(channelOf(tenantId, runId), '1').catch(() => undefined)
  }
  return async (tenantId, runId, last = false) => {
    if (last) return say(tenantId, runId)
    if (!soon.has(runId))
      soon.set(
        runId,
        setTimeout(() => void say(tenantId, runId), quietMs),
      )
  }
}

/**
 * Calls `moved` for each word about the run until the returned function is called, and once when the watch begins: what
 * was said before that is not heard.
 */
export function watchLive(cache: Cache, tenantId: TenantId, runId: RunId, moved: () => void): () => void {
  const subscriber = cache.subscribe([channelOf(tenantId, runId)])
  subscriber.on('subscribe', moved)
  subscriber.on('message', moved)
  // Without Redis the watcher's own slow look at the database is what remains.
  subscriber.on('error', () => undefined)
  return () => {
    subscriber.unsubscribe().catch(() => undefined)
  }
}
