import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { deliverMail, prepareMail, sendMail } from '#src/actions/mail.ts'
import type { Services } from '#src/actions/context.ts'
import { MailRefused, postMail, type Mail } from '#src/connectors/mail.ts'
import { findMail, insertMail, mailInsert, sweepMails } from '#src/db/mails.ts'
import type { Message } from '#src/domain/job.ts'
import { newId } from '#src/domain/id.ts'
import { productionProblems } from '#src/production.ts'
import { endpoint } from '#test/support/endpoint.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let owner: pg.Client
const logged: Record<string, unknown>[] = []

beforeAll(async () => {
  here = await world((services) => ({ ...services, log: (line) => void logged.push(line) }))
  acme = await here.tenant()
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

const someone = () => `${crypto.randomUUID()}@example.com`
const secret = 'https://weir.test/link#token=weir_link_secret'
const mailTo = (to: string) => ({ to, template: 'link' as const, data: { link: secret } })
/** Services whose jobs go nowhere, and whose mails go to `post`. */
const quiet = (post: Services['postMail'], now = here.services.now): Services => ({
  ...here.services,
  now,
  postMail: post,
  send: async () => undefined,
})

describe('a mail', () => {
  it('is sealed until it is sent, arrives by a job, and is forgotten', async () => {
    const to = someone()
    const prepared = await prepareMail(here.services, mailTo(to))
    await insertMail(here.services.database, prepared)
    const { rows } = await owner.query<{ sealed: string }>('select sealed from mails where id = $1', [
      prepared.id,
    ])
    expect(rows[0]?.sealed).toMatch(/^v1\./)
    expect(JSON.stringify(rows)).not.toContain(to)
    expect(await here.services.mailSeal.open(newId('mail'), rows[0]?.sealed ?? '')).toBeUndefined()
    await prepared.announce()
    const [mail] = await until('the mail', async () => {
      const all = await here.mails(to)
      return all.length > 0 && all
    })
    expect(mail).toMatchObject({ to, subject: 'Your link to sign in', id: prepared.id })
    expect(mail?.text).toContain(secret)
    await until('it is forgotten', async () => !(await findMail(here.services.database, prepared.id)))
    expect(JSON.stringify(logged)).not.toContain(to)
    expect(JSON.stringify(logged)).not.toContain('weir_link_secret')
  })

  it('is kept in the transaction that makes it necessary, or not at all', async () => {
    const db = here.services.database.tenant(acme.id, acme.userId)
    const to = someone()
    const failing = sendMail(here.services, mailTo(to), (insert) =>
      db.statements([insert, { text: 'select 1 / 0' }]),
    )
    await expect(failing).rejects.toThrow('division by zero')
    await sendMail(here.services, mailTo(to), (insert) => db.statements([{ text: 'select 1' }, insert]))
    await until('one mail', async () => (await here.mails(to)).length === 1)
    const { text } = mailInsert({ id: newId('mail'), sealed: 'x' })
    expect(text).toContain('app.queue_mail')
  })

  it('that was never announced is so by the tick', async () => {
    const lost = quiet(undefined)
    const prepared = await prepareMail(lost, mailTo(someone()))
    await insertMail(lost.database, prepared)
    await owner.query(`update mails set send_after = now() - interval '1 s' where id = $1`, [prepared.id])
    expect(await sweepMails(lost.database, 1_000)).toContain(prepared.id)
    expect(await sweepMails(lost.database, 1_000)).not.toContain(prepared.id)
    const sent: Message[] = []
    await owner.query(`update mails set send_after = now() - interval '1 s' where id = $1`, [prepared.id])
    const { announceMails } = await import('#src/actions/mail.ts')
    await announceMails({ ...lost, send: async (_, messages) => void sent.push(...messages) }, 1_000)
    expect(sent).toContainEqual({ job: 'mail', payload: { mailId: prepared.id } })
  })

  it('is tried again when the service fails, under the same id, for a day', async () => {
    const posted: Mail[] = []
    const failing = async (mail: Mail) => {
      posted.push(mail)
      throw new MailRefused('the mail service answered 503', false)
    }
    const services = quiet(failing)
    const prepared = await prepareMail(services, mailTo(someone()))
    await insertMail(services.database, prepared)
    const deliver = (now = here.services.now) => deliverMail(quiet(failing, now), { mailId: prepared.id })
    await expect(deliver()).rejects.toThrow('503')
    await expect(deliver()).rejects.toThrow('503')
    expect(new Set(posted.map(({ id }) => id))).toEqual(new Set([prepared.id]))
    await deliver(() => new Date(Date.now() + 25 * 3_600_000))
    expect(await findMail(services.database, prepared.id)).toBeUndefined()
    expect(logged.at(-1)).toMatchObject({ event: 'mail.undeliverable', reason: 'too_old' })
    await deliver()
    expect(posted).toHaveLength(3)
  })

  it('that the service does not want is not tried again; without a service there are none', async () => {
    for (const post of [() => Promise.reject(new MailRefused('no', true)), undefined]) {
      const services = quiet(post)
      const prepared = await prepareMail(services, mailTo(someone()))
      await insertMail(services.database, prepared)
      await deliverMail(services, { mailId: prepared.id })
      expect(await findMail(services.database, prepared.id)).toBeUndefined()
    }
    expect(logged.at(-1)).toMatchObject({ event: 'mail.off' })
  })

  it('that was changed, or sealed under a key that is gone, is not sent', async () => {
    const posted: Mail[] = []
    const services = quiet(async (mail) => void posted.push(mail))
    const one = await prepareMail(services, mailTo(someone()))
    const two = await prepareMail(services, mailTo(someone()))
    await insertMail(services.database, { id: one.id, sealed: two.sealed })
    await deliverMail(services, { mailId: one.id })
    expect(posted).toEqual([])
    expect(logged.at(-1)).toMatchObject({ event: 'mail.unreadable', mailId: one.id })
  })
})

describe('the mail service', () => {
  it('is something that production does not start without', () => {
    const named = (variables: Record<string, string>) =>
      productionProblems(variables).filter((line) => line.startsWith('MAIL_'))
    expect(named({})).toHaveLength(3)
    const given = {
      MAIL_URL: 'https://api.resend.com/emails',
      MAIL_TOKEN: 'kR7vXq2LmZ9tYw4PbN8sDf3G',
      MAIL_FROM: 'Weir <w@x.y>',
    }
    expect(named(given)).toEqual([])
  })

  const mail = { id: 'mai_1', to: 'a@b.c', subject: 's', text: 't', html: 'h' }

  it.each([
    [200, undefined],
    [202, undefined],
    [302, false],
    [401, false],
    [429, false],
    [503, false],
    [400, true],
    [422, true],
  ])('that answers %i is understood: final %s', async (status, final) => {
    const there = await endpoint()
    there.on('/mails', () => new Response(null, { status }))
    const refused = await postMail(
      { url: `${there.url}/mails`, token: 'a-token', from: 'Weir <w@x.y>' },
      mail,
    ).then(
      () => undefined,
      (error: unknown) => (error instanceof MailRefused ? error.final : 'another error'),
    )
    expect(refused).toBe(final)
    expect(there.asked).toHaveLength(1)
    expect(there.asked[0]?.headers.get('authorization')).toBe('Bearer a-token')
    await there.close()
  })
})
