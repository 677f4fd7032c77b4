import { and, eq, inArray, sql } from 'drizzle-orm'
import type { Database, TenantDb } from './database.ts'
import { idempotencyKeys, type MadeRun } from './schema.ts'

export type StoredReply = { status: number; headers: Record<string, string>; body: string | null }
export type Claim = { actor: string; key: string; fingerprint: string; lockedUntil: Date }
export type ClaimOutcome =
  | { kind: 'mine' }
  | { kind: 'running'; lockedUntil: Date }
  | { kind: 'other-request' }
  | { kind: 'done'; reply: StoredReply }
  /** It took effect and was not answered; what it made is known where that was a run. */
  | { kind: 'unanswered'; made: MadeRun | null }

/**
 * One statement decides who executes: a new key, one whose holder's lease has run out before it had an effect, or one older
 * than a day. Everyone else learns from the row why not.
 */
export async function claimKey(tdb: TenantDb, claim: Claim): Promise<ClaimOutcome> {
  const old = sql`${idempotencyKeys.createdAt} < now() - interval '24 hours'`
  const row = {
    fingerprint: claim.fingerprint,
    state: 'running' as const,
    lockedUntil: claim.lockedUntil,
    createdAt: sql`now()`,
  }
  const [mine, rows] = await tdb.run(
    tdb.sql
      .insert(idempotencyKeys)
      .values({ tenantId: tdb.tenantId, actor: claim.actor, key: claim.key, ...row })
      .onConflictDoUpdate({
        target: [idempotencyKeys.tenantId, idempotencyKeys.actor, idempotencyKeys.key],
        set: { ...row, status: null, headers: null, body: null, made: null },
        setWhere: sql`${old} or (${idempotencyKeys.state} = 'running' and ${idempotencyKeys.lockedUntil} < now()
          and ${idempotencyKeys.fingerprint} = ${claim.fingerprint})`,
      })
      .returning({ key: idempotencyKeys.key }),
    tdb.sql
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        state: idempotencyKeys.state,
        lockedUntil: idempotencyKeys.lockedUntil,
        isOver: sql<boolean>`${idempotencyKeys.state} = 'lost' or ${idempotencyKeys.lockedUntil} < now()`,
        status: idempotencyKeys.status,
        headers: idempotencyKeys.headers,
        body: idempotencyKeys.body,
        made: idempotencyKeys.made,
      })
      .from(idempotencyKeys)
      .where(own(tdb, claim)),
  )
  const [stored] = rows
  if (mine.length > 0 || !stored) return { kind: 'mine' }
  if (stored.fingerprint !== claim.fingerprint) return { kind: 'other-request' }
  if (stored.status !== null)
    return {
      kind: 'done',
      reply: { status: stored.status, headers: stored.headers ?? {}, body: stored.body },
    }
  if (stored.state !== 'running' && stored.isOver) return { kind: 'unanswered', made: stored.made }
  return { kind: 'running', lockedUntil: stored.lockedUntil }
}

/**
 * Has every transaction of the request that changes something say so on the key's row, in itself, or be taken back when the
 * key is another's by now; see app.take_effect.
 */
export function holdKey(
  database: Database,
  tdb: TenantDb,
  claim: Claim,
): { database: Database; letGo: () => void } {
  const last = sql`select app.take_effect(${claim.key}, ${claim.lockedUntil.toISOString()}::timestamptz)`
  let isHeld = true
  tdb.ending(last)
  const open: Database['open'] = async (...queries) => {
    if (!isHeld) return database.open(...queries)
    // After the queries: what they call must find no claim, as ever.
    const after = [await tdb.claim(), last].map((one) => database.sql.execute(one))
    const results: readonly unknown[] = await database.open(...queries, ...after)
    return results.slice(0, queries.length) as never
  }
  return {
    database: { ...database, open },
    letGo: () => {
      isHeld = false
      tdb.ending(undefined)
    },
  }
}

/** Stores the answer, unless another holder took the key over when this one's lease had run out. */
export async function storeReply(tdb: TenantDb, claim: Claim, reply: StoredReply): Promise<void> {
  await tdb.run(
    tdb.sql
      .update(idempotencyKeys)
      .set({ state: 'done', ...reply })
      .where(held(tdb, claim, 'running', 'effected')),
  )
}

/** Forgets the key, so that the next attempt runs; all but what has had an effect when `ofRefused` is false. */
export async function releaseKey(
  tdb: TenantDb,
  claim: Claim,
  { ofRefused }: { ofRefused: boolean },
): Promise<void> {
  if (ofRefused) {
    await tdb.run(tdb.sql.delete(idempotencyKeys).where(held(tdb, claim, 'running', 'effected')))
    return
  }
  await tdb.run(
    tdb.sql.delete(idempotencyKeys).where(held(tdb, claim, 'running')),
    tdb.sql
      .update(idempotencyKeys)
      .set({ state: 'lost' })
      .where(held(tdb, claim, 'effected')),
  )
}

const own = (tdb: TenantDb, claim: Claim) =>
  and(
    eq(idempotencyKeys.tenantId, tdb.tenantId),
    eq(idempotencyKeys.actor, claim.actor),
    eq(idempotencyKeys.key, claim.key),
  )

const held = (tdb: TenantDb, claim: Claim, ...states: ('running' | 'effected')[]) =>
  and(
    own(tdb, claim),
    inArray(idempotencyKeys.state, states),
    eq(idempotencyKeys.lockedUntil, claim.lockedUntil),
  )
