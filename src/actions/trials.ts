import { noteOwn, noteTrial, type Trial } from '#src/db/audit.ts'
import type { Context } from './context.ts'

/** What it is called when it has come to its end. */
const ended = { check: 'checked', test: 'tested' } as const

/**
 * Tries something outside that may use a secret: that it begins is noted by the transaction which reads what is tried, how
 * it ended before anybody is told. One without an end did not come to one.
 */
export async function trial<T extends { ok: boolean; code?: string }>(
  ctx: Context,
  { verb, kind, ...of }: Omit<Trial, 'action'> & { verb: keyof typeof ended },
  work: () => Promise<T>,
): Promise<T> {
  noteTrial(ctx.tenantDb, { ...of, kind, action: `${kind}.${verb}` })
  const result = await work()
  const { ok, code } = result
  const details = { ok, ...(code === undefined ? {} : { code }) }
  await noteOwn(ctx.tenantDb, { action: `${kind}.${ended[verb]}`, kind, id: of.id, details })
  return result
}
