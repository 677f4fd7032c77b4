import { sql, type SQL } from 'drizzle-orm'
import type { RequestOrigin } from '#src/domain/audit.ts'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'

export type FactorKind = 'totp' | 'passkey'

/** Who shows what: each is good once. */
export type Proof =
  | { kind: 'totp'; id: string; step: number }
  | { kind: 'passkey'; id: string; count: number }
  | { kind: 'recovery'; hash: string }

/** What makes a factor good: the first code of a begun secret, or a passkey's public key. */
export type NewFactor =
  | { kind: 'totp'; id: string; step: number }
  | {
      kind: 'passkey'
      id: Id<'factor'>
      name: string
      credentialId: string
      publicKey: string
      count: number
      transports: readonly string[]
    }

const json = (value: unknown): SQL => sql`${value === undefined ? null : JSON.stringify(value)}::jsonb`
const at = (date: Date): SQL => sql`${date.toISOString()}::timestamptz`
const texts = (list: readonly string[]): SQL =>
  sql`array(select jsonb_array_elements_text(${JSON.stringify(list)}::jsonb))`

/** Who is asked for a factor where, for what is noted of it: with a claim, or before there can be one. */
export type Asker = {
  by: Database | TenantDb
  at: 'sign-in' | 'step-up' | 'enrolment'
  /** What a claim's transactions say by themselves. */
  origin?: Partial<RequestOrigin> | undefined
}

const callBy = <R>({ by }: Asker, call: SQL): Promise<R> =>
  'tenantId' in by ? by.call(call) : openCall(by, call)

/** Notes that what somebody showed was no factor of this person; what the database finds out it notes by itself. */
export const noteRefusedFactor = (
  asker: Asker,
  userId: UserId,
  kind: FactorKind | 'recovery' | 'password',
): Promise<void> =>
  callBy(asker, sql`app.note_refused_factor(${userId}, ${kind}, ${asker.at}, 'wrong', ${json(asker.origin)})`)

/** Undefined when no second step is needed. */
export const openFactorChallenge = async (
  database: Database,
  asked: {
    userId: UserId
    tenantId: TenantId
    role: string
    amr: readonly string[]
    tokenHash: string
    now: Date
    expiresAt: Date
  },
): Promise<{ factors: (FactorKind | 'recovery')[]; enrol: boolean } | undefined> =>
  (await openCall<{ factors: (FactorKind | 'recovery')[]; enrol: boolean } | null>(
    database,
    sql`app.open_factor_challenge(${asked.userId}, ${asked.tenantId}, ${asked.role}, ${texts(asked.amr)},
      ${asked.tokenHash}, ${at(asked.now)}, ${at(asked.expiresAt)})`,
  )) ?? undefined

export type Passed = { userId: UserId; email: string; tenantId: TenantId; amr: string[] }

export const findChallenge = async (
  database: Database,
  tokenHash: string,
  now: Date,
): Promise<(Passed & { enrol: boolean }) | undefined> =>
  (await openCall<(Passed & { enrol: boolean }) | null>(
    database,
    sql`app.factor_challenge(${tokenHash}, ${at(now)})`,
  )) ?? undefined

export type Secret = { id: Id<'factor'>; secret: string; lastStep: number }

/** Counts one try and gives the secrets to check it against; undefined when it is one try too many. */
export const tryCode = async (
  asker: Asker,
  userId: UserId,
  begunBy: string | undefined,
  now: Date,
): Promise<Secret[] | undefined> =>
  (await callBy<Secret[] | null>(
    asker,
    sql`app.try_code(${userId}, ${begunBy ?? null}, ${at(now)}, ${asker.at}, ${json(asker.origin)})`,
  )) ?? undefined

/** Undefined when the token or the proof was used meanwhile. */
export const finishChallenge = async (
  database: Database,
  tokenHash: string,
  proof: Proof,
  now: Date,
  origin: Partial<RequestOrigin>,
): Promise<Passed | undefined> =>
  (await openCall<Passed | null>(
    database,
    sql`app.finish_challenge(${tokenHash}, ${json(proof)}, ${at(now)}, ${json(origin)})`,
  )) ?? undefined

type Added = { id: Id<'factor'>; recovery: boolean }

/** Undefined when the token is over or the person has a factor by now. */
export const finishEnrolment = async (
  database: Database,
  tokenHash: string,
  factor: NewFactor,
  recovery: readonly string[],
  now: Date,
): Promise<(Passed & Added) | undefined> =>
  (await openCall<(Passed & Added) | null>(
    database,
    sql`app.finish_enrolment(${tokenHash}, ${json(factor)}, ${texts(recovery)}, ${at(now)})`,
  )) ?? undefined

/** False when the person has as many factors as anybody may. */
export const beginTotp = (
  database: Database,
  row: { userId: UserId; id: Id<'factor'>; name: string; secret: string; begunBy: string; now: Date },
): Promise<boolean> =>
  openCall(
    database,
    sql`app.begin_totp(${row.userId}, ${row.id}, ${row.name}, ${row.secret}, ${row.begunBy}, ${at(row.now)})`,
  )

export const enrolFactor = async (
  tdb: TenantDb,
  who: { tenantId: TenantId; userId: UserId; begunBy: string },
  factor: NewFactor,
  recovery: readonly string[],
  now: Date,
): Promise<Added | undefined> =>
  (await tdb.call<Added | null>(
    sql`app.enrol_factor(${who.tenantId}, ${who.userId}, ${json(factor)}, ${who.begunBy}, ${texts(recovery)},
      ${at(now)})`,
  )) ?? undefined

export type Factor = {
  id: Id<'factor'>
  kind: FactorKind
  name: string
  createdAt: string
  lastUsedAt: string | null
}
export type Factors = { factors: Factor[]; recoveryCodes: number; required: boolean }

export const listFactors = (database: Database, userId: UserId): Promise<Factors> =>
  openCall(database, sql`app.list_factors(${userId})`)

export const renameFactor = (
  database: Database,
  userId: UserId,
  id: Id<'factor'>,
  name: string,
): Promise<boolean> => openCall(database, sql`app.rename_factor(${userId}, ${id}, ${name})`)

export const removeFactor = async (
  tdb: TenantDb,
  who: { tenantId: TenantId; userId: UserId },
  id: Id<'factor'>,
): Promise<'removed' | 'last' | undefined> =>
  (await tdb.call<'removed' | 'last' | null>(
    sql`app.remove_factor(${who.tenantId}, ${who.userId}, ${id})`,
  )) ?? undefined

export const renewRecoveryCodes = (
  tdb: TenantDb,
  who: { tenantId: TenantId; userId: UserId },
  hashes: readonly string[],
): Promise<boolean> =>
  tdb.call(sql`app.renew_recovery_codes(${who.tenantId}, ${who.userId}, ${texts(hashes)})`)

export type Reset = { outcome: 'reset'; email: string } | { outcome: 'owner' | 'self' | 'elsewhere' }

/** Undefined when this is no member. */
export const resetFactors = async (tdb: TenantDb, userId: UserId): Promise<Reset | undefined> =>
  (await tdb.call<Reset | null>(sql`app.reset_factors(${userId})`)) ?? undefined

/** For the claim's person. Without a proof: the password was checked, which is enough for who has no factor. */
export const proveSession = (
  tdb: TenantDb,
  sessionId: Id<'session'>,
  proof: Proof | undefined,
  now: Date,
): Promise<boolean> => tdb.call(sql`app.prove_session(${sessionId}, ${json(proof)}, ${at(now)})`)

export const sessionIsProved = (
  database: Database,
  who: { userId: UserId; sessionId: Id<'session'> },
  now: Date,
): Promise<boolean> =>
  openCall(database, sql`app.session_is_proved(${who.userId}, ${who.sessionId}, ${at(now)})`)

/** Undefined for who has no password. */
export const passwordOf = async (database: Database, userId: UserId): Promise<string | undefined> =>
  (await openCall<string | null>(database, sql`app.password_of(${userId})`)) ?? undefined
