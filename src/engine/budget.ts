/** What one delivery may use before it hands on to the next: limits.md, "Cloudflare Workers" and "QStash". */
export type Budget = {
  /** Whether to stop at the next checkpoint and go on in a new delivery. */
  isSpent(): boolean
  /** Whether a step of this kind may be begun. */
  takes(kind: string): boolean
  /** Counts calls that leave the Worker. */
  spend(calls: number): void
}

export type DeliveryLimits = { wallMs: number; calls: number }

/** A tenth of the wall time that QStash's smallest plan waits for an answer, a tenth of a Worker's subrequests. */
export const deliveryLimits: DeliveryLimits = { wallMs: 90_000, calls: 1_000 }

/**
 * Beside a request's answer a Worker has 30 seconds (limits.md, `waitUntil`), and then dies in the middle of whatever it
 * does: only steps that are over in a moment are begun there.
 */
export const besideAnswer = {
  limits: { wallMs: 8_000, calls: 500 },
  kinds: ['wait', 'call', 'notify', 'pipeline', 'map'],
}

export function startBudget(now: () => Date, limits = deliveryLimits, kinds?: readonly string[]): Budget {
  const startedMs = now().getTime()
  let calls = 0
  return {
    isSpent: () => calls >= limits.calls || now().getTime() - startedMs >= limits.wallMs,
    takes: (kind) => kinds?.includes(kind) ?? true,
    spend: (count) => {
      calls += count
    },
  }
}
