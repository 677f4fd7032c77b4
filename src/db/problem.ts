import { NeonDbError } from '@neondatabase/serverless'
import { notFound, Problem } from '#src/domain/problem.ts'

const retryAfterMs = 2_000

/** What a caller may learn of a failed query; undefined when the error is none of the database's. */
export function databaseProblem(error: unknown): Problem | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const state = sqlState(at)
    if (state === 'WE403') return new Problem('forbidden', `This needs the permission ${at.message}.`)
    if (state === 'WE404') return notFound(at.message)
    if (state === 'WE409') return new Problem('conflict', takenOver)
    if (state !== undefined) return problemOf(isHalfCharacter(at) ? '22P05' : state, error)
    if (at instanceof NeonDbError || (at instanceof TypeError && at.message === 'fetch failed')) {
      return new Problem('unavailable', 'A service that Weir needs does not answer; try again soon.', {
        retryAfterMs,
        cause: error,
      })
    }
  }
  return undefined
}

/** Whether the database has said that there is no such thing because the caller may not see it. */
export function isHidden(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (sqlState(at) === 'WE404') return true
  return false
}

const takenOver =
  'This request took so long that another one with its Idempotency-Key was let in; this one changed nothing.'

function sqlState(error: Error): string | undefined {
  if (!('severity' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

/** In JSON it is a syntax error to PostgreSQL, like any other. */
const isHalfCharacter = (error: Error): boolean =>
  'detail' in error && typeof error.detail === 'string' && /^Unicode (low|high) surrogate/.test(error.detail)

const unavailable = /^(08|53|57P0[1-5]|40001|40P01|55P03)/

function problemOf(state: string, cause: unknown): Problem {
  if (state === '23505') return new Problem('conflict', 'There already is one like this.', { cause })
  if (state === '23503') {
    return new Problem('conflict', 'It refers to something that is not there, or is still in use.', { cause })
  }
  if (state === '22021' || state === '22P05') {
    return new Problem('invalid', 'A text must not hold the character NUL or half a character.', { cause })
  }
  if (state === '57014') return new Problem('timeout', 'This took too long and was stopped.', { cause })
  if (unavailable.test(state)) {
    return new Problem('unavailable', 'The database is busy; try again soon.', { retryAfterMs, cause })
  }
  return new Problem('internal', 'Something went wrong; the request id helps us to find out what.', { cause })
}
