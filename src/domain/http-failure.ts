import { StepFailure } from './failure.ts'

const dayMs = 86_400_000

/** What a status that is no success makes of a step: whether to try again, and when at the earliest. */
export function failureOfStatus(
  status: number,
  headers: Readonly<Record<string, string>>,
  who: string,
  now: Date,
  excerpt = '',
): StepFailure {
  const said = excerpt.trim() === '' ? '' : ` It said: ${excerpt.trim()}`
  const retryAfterMs = retryAfter(headers['retry-after'], now)
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (status === 429)
    return new StepFailure('http_limited', `${who} answered 429: it is asked too often.${said}`, {
      retryable: true,
      ...wait,
    })
  if (status >= 500 || status === 408 || status === 425)
    return new StepFailure('http_unavailable', `${who} answered ${status}.${said}`, {
      retryable: true,
      ...wait,
    })
  if (status >= 300 && status < 400)
    return new StepFailure('http_redirected', `${who} answered ${status}; redirects are not followed.`)
  return new StepFailure('http_refused', `${who} answered ${status}.${said}`)
}

/** Seconds or a date (RFC 9110, 10.2.3), at most a day. */
export function retryAfter(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\s*\d{1,9}\s*$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now.getTime()
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), dayMs)
}
