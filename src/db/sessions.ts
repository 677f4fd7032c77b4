import { sql } from 'drizzle-orm'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { Role } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'

export type NewSession = {
  tenantId: TenantId
  userId: UserId
  sessionId: Id<'session'>
  tokenHash: string
  expiresAt: Date
  /** A hash with today's parameters, when the stored one was made with older ones. */
  passwordHash?: string
}

/** False when the user is no longer in the tenant. */
export const insertSession = (database: Database, session: NewSession): Promise<boolean> =>
  openCall(
    database,
    sql`app.open_session(${session.tenantId}, ${session.userId}, ${session.sessionId}, ${session.tokenHash},
      ${session.expiresAt.toISOString()}::timestamptz, ${session.passwordHash ?? null})`,
  )

type Family = { tenantId: TenantId; userId: UserId; familyId: Id<'session'> }
export type Rotation =
  | (Family & { outcome: 'rotated'; role: Role; expiresAt: string })
  | (Family & { outcome: 'reused' })

/** Compare and set: a token is exchanged once; whoever comes second ends its family. */
export const rotateSession = async (
  database: Database,
  tokenHash: string,
  next: { sessionId: Id<'session'>; tokenHash: string },
): Promise<Rotation | undefined> =>
  (await openCall<Rotation | null>(
    database,
    sql`app.rotate_session(${tokenHash}, ${next.sessionId}, ${next.tokenHash})`,
  )) ?? undefined

export const endSession = (tdb: TenantDb, family: Id<'session'>): Promise<void> =>
  tdb.call(sql`app.end_session(${family})`)

export const sessionStands = (tdb: TenantDb, family: Id<'session'>): Promise<boolean> =>
  tdb.call(sql`app.session_stands(${family})`)
