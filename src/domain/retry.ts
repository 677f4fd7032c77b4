export type RetryPolicy = {
  /** How often a step is tried in all. */
  attempts: number
  backoff: 'exponential' | 'linear' | 'constant'
  firstMs: number
  maxMs: number
  jitter: boolean
}

/**
 * How long to wait after attempt number `attempt` (1 for the first) failed. With jitter it is between half of that and
 * all of it, so that what failed together does not come back together.
 * @param random from 0 up to, not including, 1
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const factor = { exponential: 2 ** Math.min(attempt - 1, 40), linear: attempt, constant: 1 }[policy.backoff]
  const full = Math.min(policy.firstMs * factor, policy.maxMs)
  return Math.round(policy.jitter ? full / 2 + (full / 2) * random : full)
}
