import { classOf, failureClasses } from './failure-class.ts'

/**
 * Why a step failed, in words for the tenant: what, where, what to do. Never a secret, never a driver's own message
 * that may hold SQL or parameters.
 */
export class StepFailure extends Error {
  override readonly name = 'StepFailure'
  /** Stable and ours, e.g. `connection_refused`, `bad_csv`, `schema_mismatch`. */
  readonly code: string
  /** Whether the same work may succeed later. What cannot heal is not retried. */
  readonly retryable: boolean
  /** Not before that, whatever the retry policy says. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: string,
    message: string,
    options: { retryable?: boolean; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? classOf(code) !== 'never'
    this.retryAfterMs = options.retryAfterMs ?? failureClasses[code]?.waitMs
  }
}
