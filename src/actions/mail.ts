import * as z from 'zod'
import { MailRefused } from '#src/connectors/mail.ts'
import { findMail, forgetMail, insertMail, mailInsert, sweepMails } from '#src/db/mails.ts'
import type { Statement } from '#src/db/statement.ts'
import { newId, type Id, type TenantId } from '#src/domain/id.ts'
import { mailTemplates, writeMail, type MailData, type MailTemplate } from '#src/domain/mail-templates.ts'
import type { Services } from './context.ts'

/** Mails belong to no tenant; in QStash they wait for each other alone. */
const sender: TenantId = 'ten_mail'
/** A mail that could not be handed over for so long is not sent any more. */
const longestMs = 24 * 3_600_000

export type MailRequest<T extends MailTemplate = MailTemplate> = {
  to: string
  template: T
  data: MailData<T>
}

/** A mail that is written but neither kept nor sent: `id` and `sealed` go into the transaction that makes it necessary. */
export type PreparedMail = {
  id: Id<'mail'>
  sealed: string
  /** After the commit. Does not throw: what is not announced now is so by the tick. */
  announce: () => Promise<void>
}

const content = z.object({
  to: z.string(),
  template: z.enum(mailTemplates),
  data: z.record(z.string(), z.string()),
})

export async function prepareMail<T extends MailTemplate>(
  services: Services,
  { to, template, data }: MailRequest<T>,
): Promise<PreparedMail> {
  const id = newId('mail', services.now())
  const sealed = await services.mailSeal.seal(id, JSON.stringify({ to, template, data }))
  return {
    id,
    sealed,
    announce: () => services.send(sender, [{ job: 'mail', payload: { mailId: id } }]),
  }
}

/**
 * Sends a mail: a sealed row first, its job after the commit.
 * @param tx runs the row's statement in a transaction of the caller's, where the mail must not be without it
 */
export async function sendMail<T extends MailTemplate>(
  services: Services,
  mail: MailRequest<T>,
  tx?: (insert: Statement) => Promise<unknown>,
): Promise<void> {
  const prepared = await prepareMail(services, mail)
  await (tx ? tx(mailInsert(prepared)) : insertMail(services.database, prepared))
  await prepared.announce()
}

/** Hands over what waits, and then forgets it. May happen twice, under one id. Nothing of a mail is ever logged but its id. */
export async function deliverMail(services: Services, { mailId }: { mailId: Id<'mail'> }): Promise<void> {
  const { database, mailSeal, postMail, log } = services
  const found = await findMail(database, mailId)
  if (!found) return
  const plain = await mailSeal.open(mailId, found.sealed)
  const parsed = plain === undefined ? undefined : content.safeParse(JSON.parse(plain))
  if (!parsed?.success) log({ event: 'mail.unreadable', mailId })
  else if (!postMail) log({ event: 'mail.off', mailId, template: parsed.data.template })
  else {
    const { to, template, data } = parsed.data
    // What was sealed was of this template.
    const letter = writeMail(template, data as MailData<typeof template>)
    try {
      await postMail({ id: mailId, to, ...letter })
    } catch (error) {
      const isTooOld = services.now().getTime() - found.createdAt.getTime() > longestMs
      const final = error instanceof MailRefused && error.final
      if (!final && !isTooOld) throw error
      log({ event: 'mail.undeliverable', mailId, template, reason: final ? 'refused' : 'too_old' })
    }
  }
  await forgetMail(database, mailId)
}

/** The tick's: announces what was left behind. */
export async function announceMails(services: Services, most: number): Promise<void> {
  const waiting = await sweepMails(services.database, most)
  await services.send(
    sender,
    waiting.map((mailId) => ({ job: 'mail' as const, payload: { mailId } })),
  )
}
