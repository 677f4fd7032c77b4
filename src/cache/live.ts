import type { RunId, TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

const channelOf = (tenantId: TenantId, runId: RunId): string => `${tenantId}:live:${runId}`

/** At most four words a second for one run; the last one, which says that it is over, is never held back. */
const quietMs = 250
const remembered = 500

export type TellLive = (tenantId: TenantId, runId: RunId, last?: boolean) => Promise<void>

/** Says that a run moved. What happened is in the database; losing the word only makes a watcher a little late. */
export function liveTeller(cache: Cache, now: () => Date): TellLive {
  const toldMs = new Map<RunId, number>()
  return async (tenantId, runId, last = false) => {
    const nowMs = now().getTime()
    if (!last && nowMs - (toldMs.get(runId) ?? 0) < quietMs) return
    if (toldMs.size >= remembered) toldMs.clear()
    toldMs.set(runId, nowMs)
    await cache.publish(channelOf(tenantId, runId), '1').catch(() => undefined)
  }
}

/** Calls `moved` for each word about the run until the returned function is called. */
export function watchLive(cache: Cache, tenantId: TenantId, runId: RunId, moved: () => void): () => void {
  const subscriber = cache.subscribe([channelOf(tenantId, runId)])
  subscriber.on('message', moved)
  // Without Redis the watcher's own slow look at the database is what remains.
  subscriber.on('error', () => undefined)
  return () => {
    subscriber.unsubscribe().catch(() => undefined)
  }
}
