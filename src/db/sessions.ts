import { sql } from 'drizzle-orm'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'

/** Where a session is used, as far as that is known. */
export type Client = { address?: string | undefined; userAgent?: string | undefined }

export type NewSession = {
  tenantId: TenantId
  userId: UserId
  sessionId: Id<'session'>
  tokenHash: string
  expiresAt: Date
  amr: readonly string[]
  client: Client
  /** When the session began that this one goes on from. */
  beganAt?: Date
  /** The hash that the password was compared with: when it has changed since, there is no session. */
  passwordWas?: string
  /** A hash with today's parameters, when the stored one was made with older ones. */
  passwordHash?: string
}

/** False when the user is no longer in the tenant, has been signed in for longer than it allows, or has another password by now. */
export const insertSession = (database: Database, session: NewSession): Promise<boolean> =>
  openCall(
    database,
    sql`app.open_session(${session.tenantId}, ${session.userId}, ${session.sessionId}, ${session.tokenHash},
      ${session.expiresAt.toISOString()}::timestamptz, ${JSON.stringify({ amr: session.amr, beganAt: session.beganAt, ...session.client })}::jsonb,
      ${session.passwordWas ?? null}, ${session.passwordHash ?? null})`,
  )

type Family = { tenantId: TenantId; userId: UserId; familyId: Id<'session'> }
export type Rotation =
  | (Family & { outcome: 'rotated'; role: RoleName; expiresAt: string })
  | (Family & { outcome: 'reused' })

/** Compare and set: a token is exchanged once; whoever comes second ends its family. */
export const rotateSession = async (
  database: Database,
  tokenHash: string,
  next: { sessionId: Id<'session'>; tokenHash: string; client: Client },
): Promise<Rotation | undefined> =>
  (await openCall<Rotation | null>(
    database,
    sql`app.rotate_session(${tokenHash}, ${next.sessionId}, ${next.tokenHash}, ${next.client.address ?? null},
      ${next.client.userAgent ?? null})`,
  )) ?? undefined

/** One family that was ended. */
export type EndedSession = { tenantId: TenantId; sessionId: Id<'session'> }

/** Ends the caller's session `only`, or without it all of theirs but `keep`. */
export const endOwnSessions = (
  tdb: TenantDb,
  which: { only: Id<'session'> } | { keep: Id<'session'> | undefined },
): Promise<EndedSession[]> =>
  'only' in which
    ? tdb.call(sql`app.end_own_sessions(${which.only}, null)`)
    : tdb.call(sql`app.end_own_sessions(null, ${which.keep ?? null})`)

/** Undefined when there is no such member. */
export const endMemberSessions = async (tdb: TenantDb, userId: UserId): Promise<EndedSession[] | undefined> =>
  (await tdb.call<EndedSession[] | null>(sql`app.end_member_sessions(${userId})`)) ?? undefined

export type OwnSession = {
  sessionId: Id<'session'>
  tenant: { id: TenantId; name: string }
  amr: string[]
  address: string | null
  userAgent: string | null
  firstUsedAt: Date
  lastUsedAt: Date
  expiresAt: Date
}
type Times = 'firstUsedAt' | 'lastUsedAt' | 'expiresAt'

/** Where the caller is signed in, in all of their tenants. */
export async function listOwnSessions(tdb: TenantDb): Promise<OwnSession[]> {
  const rows = await tdb.call<(Omit<OwnSession, Times> & Record<Times, string>)[]>(sql`app.own_sessions()`)
  return rows.map((row) => ({
    ...row,
    firstUsedAt: new Date(row.firstUsedAt),
    lastUsedAt: new Date(row.lastUsedAt),
    expiresAt: new Date(row.expiresAt),
  }))
}

/** Whether the session or the key still lets somebody in, and as what it did. */
export const credentialStands = (
  tdb: TenantDb,
  credential: { session: Id<'session'>; role: RoleName } | { key: Id<'apiKey'> },
): Promise<boolean> =>
  'session' in credential
    ? tdb.call(sql`app.credential_stands(${credential.session}, ${credential.role}, null)`)
    : tdb.call(sql`app.credential_stands(null, null, ${credential.key})`)
