import { sql } from 'drizzle-orm'
import type { RequestOrigin } from '#src/domain/audit.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import type { Database } from './database.ts'
import { openCall } from './open-call.ts'

/** What an authenticator is asked to sign for, and by whom: the session, the sign-in's challenge, or nobody yet. */
export type Ceremony = { purpose: 'register' | 'second' | 'first' | 'step-up'; begunBy: string }

export const beginCeremony = (
  database: Database,
  challenge: string,
  { purpose, begunBy }: Ceremony,
  now: Date,
  expiresAt: Date,
): Promise<void> =>
  openCall(
    database,
    sql`app.begin_passkey(${challenge}, ${purpose}, ${begunBy}, ${now.toISOString()}::timestamptz,
      ${expiresAt.toISOString()}::timestamptz)`,
  )

/** True once. */
export const endCeremony = (
  database: Database,
  challenge: string,
  { purpose, begunBy }: Ceremony,
  now: Date,
): Promise<boolean> =>
  openCall(
    database,
    sql`app.take_passkey_challenge(${challenge}, ${purpose}, ${begunBy}, ${now.toISOString()}::timestamptz)`,
  )

export type Passkey = {
  userId: UserId
  email: string
  id: Id<'factor'>
  publicKey: string
  count: number
  transports: string[]
}

export const findPasskey = async (database: Database, credentialId: string): Promise<Passkey | undefined> =>
  (await openCall<Passkey | null>(database, sql`app.find_passkey(${credentialId})`)) ?? undefined

export const passkeysOf = (
  database: Database,
  userId: UserId,
): Promise<{ email: string; passkeys: { id: string; transports: string[] }[] }> =>
  openCall(database, sql`app.passkeys_of(${userId})`)

export const usePasskey = (
  database: Database,
  { userId, id }: Passkey,
  count: number,
  now: Date,
  origin: Partial<RequestOrigin>,
): Promise<boolean> =>
  openCall(
    database,
    sql`app.use_passkey(${userId}, ${id}, ${count}, ${now.toISOString()}::timestamptz, ${JSON.stringify(origin)}::jsonb)`,
  )
