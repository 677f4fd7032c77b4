import type { TenantDb } from '#src/db/database.ts'
import { RunCancelled, StepLost } from '#src/db/failure.ts'
import { renewLease, type ClaimedStep } from '#src/db/run-moves.ts'
import type { RunId } from '#src/domain/id.ts'

/** A longer timer would go off at once; no delivery lives so long. */
const longestTimerMs = 2 ** 31 - 1

/** How long a claimed step stays its delivery's without a word. */
export const leaseMs = 30_000

/**
 * Keeps a step's lease while it works, and stops the work when the step is lost, the run is being cancelled or the time
 * is up.
 */
export function holdLease(db: TenantDb, runId: RunId, step: ClaimedStep, timeoutMs: number | undefined) {
  const work = new AbortController()
  const renewal = setInterval(() => {
    renewLease(db, runId, step, leaseMs).then(
      (held) => {
        if (held === 'lost') work.abort(new StepLost('the lease went to another delivery'))
        if (held === 'cancelling') work.abort(new RunCancelled('the run is being cancelled'))
      },
      // The next renewal tries again; a lease that really runs out is noticed by the fence.
      () => undefined,
    )
  }, leaseMs / 6)
  const timeUp =
    timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => work.abort(new DOMException('the step ran out of time', 'TimeoutError')),
          Math.min(timeoutMs, longestTimerMs),
        )
  return {
    signal: work.signal,
    release() {
      clearInterval(renewal)
      clearTimeout(timeUp)
    },
  }
}
