import type { Context } from 'hono'
import { noteOwn, type Note } from '#src/db/audit.ts'
import type { TenantDb } from '#src/db/database.ts'
import type { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'
import { defer } from './defer.ts'

const mostPath = 300
/** A log that does not answer keeps nobody waiting for their refusal. */
const patienceMs = 2_000

/**
 * Notes what somebody was not let do, before they learn of it: so no refusal that anybody was told of is missing. What
 * refused may have noted it itself, in its own transaction; an exception takes a note of its transaction back with it, so
 * then it is a transaction of its own. Some a minute are kept, see app.note.
 */
export async function noteRefusal(c: Context<ApiEnv>, problem: Problem, isHidden: boolean): Promise<void> {
  // Whoever is refused before he is known has no tenant whose log it could be.
  const ctx = c.get('ctx') as ApiEnv['Variables']['ctx'] | undefined
  if (!ctx || problem.noted) return
  // The note is none of the effects that an Idempotency-Key is held for.
  ctx.tenantDb.ending(undefined)
  if (problem.code === 'quota_exceeded') {
    const { name: quota, used, limit } = problem.quota ?? {}
    await write(c, ctx.tenantDb, {
      action: 'quota.refused',
      kind: 'request',
      details: { quota, used, limit },
    })
  } else if (problem.code === 'forbidden' || isHidden) {
    await write(c, ctx.tenantDb, {
      action: 'access.refused',
      kind: 'request',
      details: { status: isHidden ? 404 : 403 },
    })
  }
}

/** The same for a credential that is good, but not from where it was shown: nobody is let in, and yet it is known whose it is. */
export const noteRefusedPlace = (c: Context<ApiEnv>, db: TenantDb): Promise<void> =>
  write(c, db, { action: 'access.refused', kind: 'request', details: { status: 403, reason: 'address' } })

function write(c: Context<ApiEnv>, db: TenantDb, { details, ...note }: Note): Promise<void> {
  const { method, path } = c.req
  const noted = noteOwn(db, { ...note, details: { method, path: path.slice(0, mostPath), ...details } })
  defer(c, noted)
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs)
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    noted.then(done, done)
  })
}
