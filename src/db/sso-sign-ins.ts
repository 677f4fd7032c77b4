import { sql } from 'drizzle-orm'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { SsoProvider, Vouched } from '#src/domain/sso.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

export type SsoPlace = { tenantId: TenantId; providerId: Id<'ssoProvider'>; kind: SsoProvider['kind'] }

/** Where an address or a provider signs in, before anybody is known. */
export const findSso = async (
  database: Database,
  by: { domain: string } | { providerId: string },
): Promise<SsoPlace | undefined> =>
  (await openCall<SsoPlace | null>(
    database,
    'domain' in by ? sql`app.find_sso(${by.domain}, null)` : sql`app.find_sso(null, ${by.providerId})`,
  )) ?? undefined

export async function insertAttempt(
  db: TenantDb,
  attempt: {
    stateHash: string
    browserHash: string
    providerId: Id<'ssoProvider'>
    sealed: string
    expiresAt: Date
  },
): Promise<void> {
  const { stateHash, browserHash, providerId, sealed, expiresAt } = attempt
  await db.statements([
    statement(sql`insert into sso_attempts (tenant_id, state_hash, browser_hash, provider_id, sealed, expires_at)
      values (${db.tenantId}, ${stateHash}, ${browserHash}, ${providerId}, ${sealed}, ${expiresAt.toISOString()}::timestamptz)`),
  ])
}

export type Attempt = Omit<SsoPlace, 'kind'> & { sealed: string }
/** With what a provider's form has answered, where it came in one. */
export type TakenAttempt = Attempt & { answer: string | null }

/**
 * Takes a sign-in under way, once and in its own browser; and where a form has answered it, with what only the browser
 * that posted the form was told.
 */
export const takeAttempt = async (
  database: Database,
  stateHash: string,
  browserHash: string,
  answerHash: string | undefined,
): Promise<TakenAttempt | undefined> =>
  (await openCall<TakenAttempt | null>(
    database,
    sql`app.take_sso_attempt(${stateHash}, ${browserHash}, ${answerHash ?? null})`,
  )) ?? undefined

/** Says that an answer has come for a sign-in at this provider, and gives the sign-in: to the first answer alone. */
export const claimAnswer = async (
  database: Database,
  stateHash: string,
  providerId: Id<'ssoProvider'>,
): Promise<Attempt | undefined> =>
  (await openCall<Attempt | null>(database, sql`app.claim_sso_answer(${stateHash}, ${providerId})`)) ??
  undefined

/** Keeps what an answer came to, for the browser that began. False when the browser is gone already. */
export const keepAnswer = (
  db: TenantDb,
  stateHash: string,
  answer: string,
  answerHash: string,
): Promise<boolean> => db.call(sql`app.keep_sso_answer(${stateHash}, ${answer}, ${answerHash})`)

/** A session that ended because the account turned out to be somebody else’s. */
export type EndedSession = { tenantId: TenantId; sessionId: Id<'session'> }

export type Arrival =
  | {
      outcome: 'in'
      userId: UserId
      email: string
      role: RoleName
      was: RoleName | null
      ended: EndedSession[]
      /** The hashes of the person's own keys. */
      keys: string[]
    }
  | { outcome: 'refused'; reason: string; userId?: UserId; removed?: boolean; keys?: string[] }

/** What the tenant makes of somebody whom its provider vouches for: account, membership, role and teams, all at once. */
export const arrive = (
  db: TenantDb,
  person: Vouched & { providerId: Id<'ssoProvider'>; newUserId: UserId },
): Promise<Arrival> =>
  db.call(
    sql`app.sso_arrive(${person.providerId}, ${person.subject}, ${person.email ?? null}, ${person.emailVerified},
      array(select jsonb_array_elements_text(${JSON.stringify(person.groups)}::jsonb)), ${person.newUserId}, ${person.name ?? null})`,
  )

/** That somebody was not let in, for the tenant's own log. */
export const noteSsoRefusal = (
  db: TenantDb,
  providerId: Id<'ssoProvider'>,
  reason: string,
  details: Record<string, string | undefined>,
): Promise<void> =>
  db.call(sql`app.note_sso_refusal(${providerId}, ${reason}, ${JSON.stringify(details)}::jsonb)`)

/** Whether everybody must sign in with a provider. */
export async function setRequireSso(db: TenantDb, requireSso: boolean): Promise<boolean> {
  const [result] = await db.statements([
    statement(sql`update tenants set require_sso = ${requireSso}
      where tenant_id = ${db.tenantId}
        and (not ${requireSso}::boolean or exists (
          select from sso_domains d join sso_providers p on p.tenant_id = d.tenant_id
          where d.tenant_id = ${db.tenantId} and d.verified_at is not null))
      returning 1`),
  ])
  return (result?.rowCount ?? 0) > 0
}
