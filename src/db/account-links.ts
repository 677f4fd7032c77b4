import { sql } from 'drizzle-orm'
import type { Id, UserId } from '#src/domain/id.ts'
import type { LinkPurpose } from '#src/domain/link-token.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import type { EndedSession } from './sessions.ts'
import type { Login } from './users.ts'

/** A link that was written into a mail: kept together, and only when there is somebody to send it to. */
export type NewLink = {
  tokenHash: string
  expiresAt: Date
  mail: { id: Id<'mail'>; sealed: string }
}

const linkArguments = ({ tokenHash, expiresAt, mail }: NewLink) =>
  sql`${tokenHash}, ${expiresAt.toISOString()}::timestamptz, ${mail.id}, ${mail.sealed}`

/** False where nothing is to be sent: nobody has the address, or enough links are on their way. */
export const keepLinkFor = (
  database: Database,
  email: string,
  purpose: 'link' | 'reset',
  link: NewLink,
): Promise<boolean> => openCall(database, sql`app.ask_link(${email}, ${purpose}, ${linkArguments(link)})`)

export const keepVerification = (tdb: TenantDb, email: string, link: NewLink): Promise<boolean> =>
  tdb.call(sql`app.ask_verification(${email}, ${linkArguments(link)})`)

/** False also where somebody has the new address. */
export const keepEmailChange = (
  tdb: TenantDb,
  emails: { now: string; next: string },
  link: NewLink,
): Promise<boolean> =>
  tdb.call(sql`app.ask_email_change(${emails.now}, ${emails.next}, ${linkArguments(link)})`)

export type FoundLink = { userId: UserId; email: string; emailBefore: string | null }

/** What an unused link is for. */
export const findLink = async (
  database: Database,
  tokenHash: string,
  purpose: LinkPurpose,
): Promise<FoundLink | undefined> =>
  (await openCall<FoundLink | null>(database, sql`app.look_at_link(${tokenHash}, ${purpose})`)) ?? undefined

export const verifyEmail = async (
  database: Database,
  tokenHash: string,
): Promise<{ email: string } | undefined> =>
  (await openCall<{ email: string } | null>(database, sql`app.verify_email(${tokenHash})`)) ?? undefined

/** Who signs in with it; a link lets one in once. */
export const useSignInLink = async (
  database: Database,
  tokenHash: string,
): Promise<(Login & { ended: EndedSession[] }) | undefined> =>
  (await openCall<(Login & { ended: EndedSession[] }) | null>(
    database,
    sql`app.use_sign_in_link(${tokenHash})`,
  )) ?? undefined

type Ended = { userId: UserId; email: string; ended: EndedSession[] }

export const resetPassword = async (
  database: Database,
  tokenHash: string,
  passwordHash: string,
  mail: NewLink['mail'],
): Promise<Ended | undefined> =>
  (await openCall<Ended | null>(
    database,
    sql`app.reset_password(${tokenHash}, ${passwordHash}, ${mail.id}, ${mail.sealed})`,
  )) ?? undefined

export const changeEmail = async (
  database: Database,
  tokenHash: string,
  undo: NewLink,
): Promise<{ email: string } | undefined> =>
  (await openCall<{ email: string } | null>(
    database,
    sql`app.change_email(${tokenHash}, ${linkArguments(undo)})`,
  )) ?? undefined

export const undoEmailChange = async (
  database: Database,
  tokenHash: string,
  reset: NewLink,
): Promise<Ended | undefined> =>
  (await openCall<Ended | null>(
    database,
    sql`app.undo_email_change(${tokenHash}, ${linkArguments(reset)})`,
  )) ?? undefined

export type Self = { email: string; emailVerified: boolean; passwordHash: string | null }

/** The caller's own account; undefined of somebody who is no member. */
export const findSelf = async (tdb: TenantDb): Promise<Self | undefined> =>
  (await tdb.call<Self | null>(sql`app.self()`)) ?? undefined

/** Ends the other sessions; undefined when the password is not `was` any more. */
export const changePassword = async (
  tdb: TenantDb,
  change: { was: string | null; passwordHash: string; keep: Id<'session'>; mail: NewLink['mail'] },
): Promise<EndedSession[] | undefined> =>
  (await tdb.call<EndedSession[] | null>(
    sql`app.change_password(${change.was}, ${change.passwordHash}, ${change.keep}, ${change.mail.id}, ${change.mail.sealed})`,
  )) ?? undefined
