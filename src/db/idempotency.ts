import { and, eq, sql } from 'drizzle-orm'
import type { TenantDb } from './database.ts'
import { idempotencyKeys } from './schema.ts'

export type StoredReply = { status: number; headers: Record<string, string>; body: string | null }
export type Claim = { actor: string; key: string; fingerprint: string; lockedUntil: Date }
export type ClaimOutcome =
  | { kind: 'mine' }
  | { kind: 'running'; lockedUntil: Date }
  | { kind: 'other-request' }
  | { kind: 'done'; reply: StoredReply }

/**
 * One statement decides who executes: a new key, one whose holder's lease has run out, or one older than a day.
 * Everyone else learns from the row why not.
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
        set: { ...row, status: null, headers: null, body: null },
        setWhere: sql`${old} or (${idempotencyKeys.state} = 'running' and ${idempotencyKeys.lockedUntil} < now()
          and ${idempotencyKeys.fingerprint} = ${claim.fingerprint})`,
      })
      .returning({ key: idempotencyKeys.key }),
    tdb.sql
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        state: idempotencyKeys.state,
        lockedUntil: idempotencyKeys.lockedUntil,
        status: idempotencyKeys.status,
        headers: idempotencyKeys.headers,
        body: idempotencyKeys.body,
      })
      .from(idempotencyKeys)
      .where(own(tdb, claim)),
  )
  const [stored] = rows
  if (mine.length > 0 || !stored) return { kind: 'mine' }
  if (stored.fingerprint !== claim.fingerprint) return { kind: 'other-request' }
  if (stored.state === 'running' || stored.status === null) {
    return { kind: 'running', lockedUntil: stored.lockedUntil }
  }
  return {
    kind: 'done',
    reply: { status: stored.status, headers: stored.headers ?? {}, body: stored.body },
  }
}

/** Stores the answer, unless another holder took the key over when this one's lease had run out. */
export async function storeReply(tdb: TenantDb, claim: Claim, reply: StoredReply): Promise<void> {
  await tdb.run(
    tdb.sql
      .update(idempotencyKeys)
      .set({ state: 'done', ...reply })
      .where(held(tdb, claim)),
  )
}

/** Forgets the key: what happened is not worth keeping, so the next attempt runs. */
export async function releaseKey(tdb: TenantDb, claim: Claim): Promise<void> {
  await tdb.run(tdb.sql.delete(idempotencyKeys).where(held(tdb, claim)))
}

const own = (tdb: TenantDb, claim: Claim) =>
  and(
    eq(idempotencyKeys.tenantId, tdb.tenantId),
    eq(idempotencyKeys.actor, claim.actor),
    eq(idempotencyKeys.key, claim.key),
  )

const held = (tdb: TenantDb, claim: Claim) =>
  and(
    own(tdb, claim),
    eq(idempotencyKeys.state, 'running'),
    eq(idempotencyKeys.lockedUntil, claim.lockedUntil),
  )
