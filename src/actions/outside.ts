import { StepFailure } from '#src/domain/failure.ts'
import { Problem } from '#src/domain/problem.ts'

/**
 * What a connection or the object storage refused, as an answer to whoever asked: the tenant's own server is theirs to
 * mend, the object storage is ours.
 */
export async function outside<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error
    const isOurs = error.code.startsWith('storage_')
    throw new Problem(isOurs ? 'unavailable' : 'invalid', error.message, {
      cause: error,
      ...(isOurs ? { retryAfterMs: 5_000 } : {}),
    })
  }
}
