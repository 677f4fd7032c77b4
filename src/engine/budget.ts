/** What one delivery may use before it hands on to the next: limits.md, "Cloudflare Workers" and "QStash". */
export type Budget = {
  /** Whether to stop at the next checkpoint and go on in a new delivery. */
  isSpent(): boolean
  /** Counts calls that leave the Worker. */
  spend(calls: number): void
}

export type DeliveryLimits = { wallMs: number; calls: number }

/** A tenth of the wall time that QStash's smallest plan waits for an answer, a tenth of a Worker's subrequests. */
export const deliveryLimits: DeliveryLimits = { wallMs: 90_000, calls: 1_000 }

export function startBudget(now: () => Date, limits = deliveryLimits): Budget {
  const startedMs = now().getTime()
  let calls = 0
  return {
    isSpent: () => calls >= limits.calls || now().getTime() - startedMs >= limits.wallMs,
    spend: (count) => {
      calls += count
    },
  }
}
