import type { Context } from 'hono'
import { noteOwn } from '#src/db/audit.ts'
import type { ApiEnv } from './api.ts'
import { defer } from './defer.ts'

const mostPath = 300

/** That somebody was not let do something is an entry of the audit log: some a minute, see app.note. */
export function noteRefusal(c: Context<ApiEnv>): void {
  // Whoever is refused before he is known has no tenant whose log it could be.
  const ctx = c.get('ctx') as ApiEnv['Variables']['ctx'] | undefined
  if (!ctx) return
  const { method, path } = c.req
  const note = {
    action: 'access.refused',
    kind: 'request',
    details: { method, path: path.slice(0, mostPath) },
  }
  defer(c, noteOwn(ctx.tenantDb, note))
}
