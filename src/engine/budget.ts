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

/**
 * A tenth of the wall time that QStash's smallest plan waits for an answer, a tenth of a Worker's subrequests; where the
 * platform's plan allows fewer of them, DELIVERY_CALLS of the environment says so.
 */
export const deliveryLimits: DeliveryLimits = { wallMs: 90_000, calls: 1_000 }

/**
 * Beside a request's answer a Worker has 30 seconds (limits.md, `waitUntil`), and then dies in the middle of whatever it
 * does: only steps that are over in a moment are begun there.
 */
export const besideAnswer = {
  limits: { wallMs: 8_000, calls: 500 },
  kinds: ['wait', 'call', 'notify', 'pipeline', 'map'],
}

/** The budget of what is begun beside an answer, whose request has made calls as well. */
export function startBudgetBeside(now: () => Date, limits = deliveryLimits): Budget {
  const { wallMs, calls } = besideAnswer.limits
  return startBudget(now, { wallMs, calls: Math.min(calls, Math.ceil(limits.calls / 2)) }, besideAnswer.kinds)
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
