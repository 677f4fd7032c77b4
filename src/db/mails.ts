import { sql } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import type { Database } from './database.ts'
import { openCall } from './open-call.ts'
import { statement, type Statement } from './statement.ts'

export type SealedMail = { id: Id<'mail'>; sealed: string }

export const insertMail = (database: Database, { id, sealed }: SealedMail): Promise<void> =>
  openCall(database, sql`app.queue_mail(${id}, ${sealed})`)

/** The same as a statement of the transaction that makes the mail necessary. */
export const mailInsert = ({ id, sealed }: SealedMail): Statement =>
  statement(sql`select app.queue_mail(${id}, ${sealed})`)

/** Undefined when it is out already. */
export async function findMail(
  database: Database,
  id: Id<'mail'>,
): Promise<{ sealed: string; createdAt: Date } | undefined> {
  const found = await openCall<{ sealed: string; createdAt: string } | null>(
    database,
    sql`app.find_mail(${id})`,
  )
  return found ? { ...found, createdAt: new Date(found.createdAt) } : undefined
}

export const forgetMail = (database: Database, id: Id<'mail'>): Promise<void> =>
  openCall(database, sql`app.forget_mail(${id})`)

/** Hands out the mails that wait past their time; see app.sweep_mails. */
export async function sweepMails(database: Database, limit: number): Promise<Id<'mail'>[]> {
  const [result] = await database.open(database.sql.execute(sql`select app.sweep_mails(${limit}) as id`))
  return result.rows.map((row) => row['id'] as Id<'mail'>)
}
