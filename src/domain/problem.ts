/** The codes of api.md; each has one status. */
export const problemStatus = {
  malformed: 400,
  unauthenticated: 401,
  quota_exceeded: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  invalid: 422,
  locked: 423,
  precondition_required: 428,
  limited: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
} as const
export type ProblemCode = keyof typeof problemStatus

export type FieldProblem = { path: string; message: string; line?: number; column?: number }

/** How much of which quota is used; see domain/quota.ts. */
export type SpentQuota = { name: string; used: number; limit: number; resetsAt?: string }

/** What a caller can act on. Its detail is shown to the caller, so it never holds SQL, secrets or another tenant's data. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly fields: readonly FieldProblem[] | undefined
  readonly retryAfterMs: number | undefined
  readonly quota: SpentQuota | undefined
  /** The audit log has the refusal already: what refused wrote it in the same transaction. */
  readonly noted: boolean

  constructor(
    code: ProblemCode,
    detail: string,
    extra: {
      fields?: readonly FieldProblem[]
      retryAfterMs?: number
      quota?: SpentQuota
      noted?: boolean
      cause?: unknown
    } = {},
  ) {
    super(detail, extra.cause === undefined ? {} : { cause: extra.cause })
    this.code = code
    this.fields = extra.fields
    this.retryAfterMs = extra.retryAfterMs
    this.quota = extra.quota
    this.noted = extra.noted ?? false
  }
}

/** The same words for a made-up id and for another tenant's. */
export const notFound = (what: string): Problem => new Problem('not_found', `There is no such ${what}.`)
