import { askForLink } from '#src/actions/accounts.ts'
import type { Database } from '#src/db/database.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#src/domain/limit.ts'
import { newLinkToken } from '#src/domain/link-token.ts'
import { tokenIn } from '#test/support/mailbox.ts'
import { until } from '#test/support/until.ts'
import { password, world, type Tenant, type World } from '#test/support/world.ts'

const plenty = { ...defaultLimits.address, limit: 10_000 }
let here: World
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  here = await world((services) => ({
    ...services,
    limits: { ...services.limits, address: plenty, signInAddress: plenty, signInAccount: plenty },
  }))
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  await Promise.all([here.verify(acme), here.verify(globex)])
})
afterAll(() => here.close())

const send = (path: string, body: unknown, credential?: string) =>
  fetch(`${here.url}${path}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(credential === undefined ? {} : { Authorization: `Bearer ${credential}` }),
    },
    body: JSON.stringify(body),
  })
const post = async (path: string, body: unknown, credential?: string) =>
  (await send(path, body, credential)).status
type Me = { user: { email: string; emailVerified: boolean } }
const me = async (accessToken: string) => {
  const answer = await fetch(`${here.url}/v1/me`, { headers: { Authorization: `Bearer ${accessToken}` } })
  return { status: answer.status, ...((await answer.json()) as Me) }
}
const renew = (refreshToken: string) => post('/v1/sessions/refresh', { refreshToken })
const signIn = async (email: string, shown = password) => {
  const answer = await send('/v1/sessions', { email, password: shown })
  const body = (await answer.json()) as { accessToken: string; refreshToken: string }
  return { status: answer.status, ...body }
}
const another = () => `${crypto.randomUUID()}@example.com`
const reasons = async (answer: Response) =>
  ((await answer.json()) as { fields?: { path: string; message: string }[] }).fields ?? []

describe('proving an address', () => {
  it('is asked for at sign-up, and done once by the link in the mail', async () => {
    const tenant = await here.tenant()
    expect((await me(tenant.accessToken)).user).toMatchObject({ email: tenant.email, emailVerified: false })
    const token = await here.mailedToken(tenant.email, 'Confirm your e-mail address')
    const answers = await Promise.all([1, 2, 3, 4].map(() => post('/v1/accounts/verify', { token })))
    expect(answers.toSorted((a, b) => a - b)).toEqual([200, 410, 410, 410])
    expect((await me(tenant.accessToken)).user.emailVerified).toBe(true)
    const other = await here.tenant()
    expect((await me(other.accessToken)).user.emailVerified).toBe(false)
  })

  it('is asked for again, up to five links, until it is proved', async () => {
    const tenant = await here.tenant()
    const ask = () => post('/v1/accounts/verification', {}, tenant.accessToken)
    for (let i = 0; i < 6; i++) expect(await ask()).toBe(202)
    await until('five mails', async () => (await here.mails(tenant.email)).length === 5)
    const [first, ...others] = await here.mails(tenant.email)
    expect(await post('/v1/accounts/verify', { token: first ? tokenIn(first) : '' })).toBe(200)
    expect(await ask()).toBe(202)
    // Any link of theirs proves the same; none is worth more than another.
    expect(others).toHaveLength(4)
    expect(await here.mails(tenant.email)).toHaveLength(5)
  })

  it('is nothing for a key, a stranger or a link of another purpose', async () => {
    expect(await post('/v1/accounts/verification', {}, acme.apiKey)).toBe(403)
    expect(await post('/v1/accounts/verification', {})).toBe(401)
    await post('/v1/sessions/link', { email: acme.email })
    const token = await here.mailedToken(acme.email, 'Your link to sign in')
    for (const path of ['verify', 'email/confirm', 'email/undo'])
      expect(await post(`/v1/accounts/${path}`, { token })).toBe(410)
    expect(await post('/v1/accounts/password-reset/use', { token, password: 'another good one' })).toBe(410)
    expect(await post('/v1/sessions/link/use', { token })).toBe(201)
  })

  it.each(['', 'x', newLinkToken(), "weir_link_' or 1=1 --"])('refuses %j', async (token) => {
    for (const path of [
      'accounts/verify',
      'accounts/email/confirm',
      'accounts/email/undo',
      'sessions/link/use',
    ])
      expect(await post(`/v1/${path}`, { token })).toBe(410)
  })
})

describe('a link to sign in', () => {
  it('opens one session, however many come with it, and proves the address', async () => {
    const tenant = await here.tenant()
    expect(await post('/v1/sessions/link', { email: tenant.email.toUpperCase() })).toBe(202)
    const token = await until('the mail', async () => {
      const all = await here.mails(tenant.email)
      const found = all.find(({ subject }) => subject === 'Your link to sign in')
      return found && tokenIn(found)
    })
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => send('/v1/sessions/link/use', { token })))
    const opened = answers.filter(({ status }) => status === 201)
    expect(opened).toHaveLength(1)
    const body = (await opened[0]?.json()) as { accessToken: string; tenants: { id: string }[] }
    expect(body.tenants.map(({ id }) => id)).toEqual([tenant.id])
    expect((await me(body.accessToken)).user.emailVerified).toBe(true)
  })

  it('takes an account from whoever set it up under an address that is not theirs', async () => {
    const squatter = await here.tenant()
    await post('/v1/sessions/link', { email: squatter.email })
    const token = await here.mailedToken(squatter.email, 'Your link to sign in')
    const opened = await send('/v1/sessions/link/use', { token })
    const { accessToken } = (await opened.json()) as { accessToken: string }
    expect((await me(accessToken)).status).toBe(200)
    expect((await me(squatter.accessToken)).status).toBe(401)
    expect(await renew(squatter.refreshToken)).toBe(401)
    expect((await signIn(squatter.email)).status).toBe(401)

    await post('/v1/sessions/link', { email: globex.email })
    const another = await here.mailedToken(globex.email, 'Your link to sign in')
    expect(await post('/v1/sessions/link/use', { token: another })).toBe(201)
    expect((await me(globex.accessToken)).status).toBe(200)
    expect((await signIn(globex.email)).status).toBe(201)
  })

  it('answers the same for an address that nobody has, and mails nobody', async () => {
    const nobody = another()
    const [known, unknown] = [acme.email, nobody].map((email) => ({
      link: () => send('/v1/sessions/link', { email }),
      reset: () => send('/v1/accounts/password-reset', { email }),
    }))
    for (const ask of ['link', 'reset'] as const) {
      const [one, two] = await Promise.all([known?.[ask](), unknown?.[ask]()])
      expect([one?.status, two?.status]).toEqual([202, 202])
      expect(await one?.text()).toBe(await two?.text())
    }
    // What happens before the answer is the same: one question to the database, and a mail sealed for it.
    const asked = async (email: string) => {
      let questions = 0
      const { database } = here.services
      const counting: Database = {
        ...database,
        open: (...queries) => {
          questions++
          return database.open(...queries)
        },
      }
      await askForLink({ ...here.services, database: counting }, 'reset', email)
      return questions
    }
    expect([await asked(globex.email), await asked(nobody)]).toEqual([1, 1])
    expect(await here.mails(nobody)).toEqual([])
  })
})

describe('a new password', () => {
  it('by a mailed link ends every session everywhere, is told, and works once', async () => {
    const tenant = await here.tenant()
    const other = await signIn(tenant.email)
    await post('/v1/accounts/password-reset', { email: tenant.email })
    const token = await here.mailedToken(tenant.email, 'Choose a new password')
    const answers = await Promise.all(
      ['first new password', 'other new password'].map((one) =>
        post('/v1/accounts/password-reset/use', { token, password: one }),
      ),
    )
    expect(answers.toSorted((a, b) => a - b)).toEqual([204, 410])
    const [chosen, lost] = answers[0] === 204 ? ['first', 'other'] : ['other', 'first']
    for (const session of [tenant, other]) {
      expect((await me(session.accessToken)).status).toBe(401)
      expect(await renew(session.refreshToken)).toBe(401)
    }
    expect((await signIn(tenant.email)).status).toBe(401)
    expect((await signIn(tenant.email, `${lost} new password`)).status).toBe(401)
    expect((await signIn(tenant.email, `${chosen} new password`)).status).toBe(201)
    await until('the notice', async () =>
      (await here.mails(tenant.email)).some(({ subject }) => subject === 'Your password was changed'),
    )
    expect((await me(acme.accessToken)).status).toBe(200)
  })

  it('leaves nobody in who comes with the old one at the same moment', async () => {
    const tenant = await here.tenant()
    let old = password
    for (let round = 0; round < 5; round++) {
      await post('/v1/accounts/password-reset', { email: tenant.email })
      const token = await until('another link', async () => {
        const all = await here.mails(tenant.email)
        const links = all.filter(({ subject }) => subject === 'Choose a new password')
        return links.length === round + 1 && links.map(tokenIn).at(-1)
      })
      const next = `password of round ${round}`
      const [entered, reset] = await Promise.all([
        signIn(tenant.email, old),
        post('/v1/accounts/password-reset/use', { token, password: next }),
      ])
      expect(reset).toBe(204)
      if (entered.status === 201) {
        expect((await me(entered.accessToken)).status).toBe(401)
        expect(await renew(entered.refreshToken)).toBe(401)
      }
      old = next
    }
    expect((await signIn(tenant.email, old)).status).toBe(201)
  })

  it('needs the old one from who is signed in, and ends the other sessions', async () => {
    const tenant = await here.tenant()
    const other = await signIn(tenant.email)
    const change = (body: unknown) => send('/v1/accounts/password', body, tenant.accessToken)
    const wrong = await change({ oldPassword: 'not the old one', password: 'a rather new one' })
    expect(wrong.status).toBe(422)
    expect((await reasons(wrong)).map(({ path }) => path)).toEqual(['oldPassword'])
    expect((await change({ oldPassword: password, password: 'a rather new one' })).status).toBe(204)
    expect((await me(tenant.accessToken)).status).toBe(200)
    expect(await renew(tenant.refreshToken)).toBe(200)
    expect((await me(other.accessToken)).status).toBe(401)
    expect(await renew(other.refreshToken)).toBe(401)
    expect((await signIn(tenant.email, 'a rather new one')).status).toBe(201)
  })

  it.each(['password123', 'PASSWORD123', '1q2w3e4r5t', 'iloveyou1'])(
    'is refused where everybody knows it: %s',
    async (known) => {
      const signUp = { tenantName: 'A', email: another(), password: known }
      const answer = await send('/v1/sign-up', signUp)
      expect(answer.status).toBe(422)
      expect(await reasons(answer)).toMatchObject([{ path: 'password' }])
      const change = { oldPassword: password, password: known }
      expect(await post('/v1/accounts/password', change, acme.accessToken)).toBe(422)
      await post('/v1/accounts/password-reset', { email: acme.email })
      const token = await here.mailedToken(acme.email, 'Choose a new password')
      expect(await post('/v1/accounts/password-reset/use', { token, password: known })).toBe(422)
    },
  )
})

describe('another address', () => {
  it('counts once it is proved; the one before is told, and can undo it', async () => {
    const tenant = await here.tenant()
    const next = another()
    const ask = (shown: string) =>
      post('/v1/accounts/email', { email: next, password: shown }, tenant.accessToken)
    expect(await ask('not the password')).toBe(422)
    expect(await ask(password)).toBe(202)
    const token = await here.mailedToken(next, 'Confirm your new e-mail address')
    expect((await me(tenant.accessToken)).user.email).toBe(tenant.email)
    expect(await post('/v1/accounts/email/confirm', { token })).toBe(200)
    expect(await post('/v1/accounts/email/confirm', { token })).toBe(410)
    expect((await me(tenant.accessToken)).user).toMatchObject({ email: next, emailVerified: true })
    expect((await signIn(tenant.email)).status).toBe(401)
    const thief = await signIn(next)
    expect(thief.status).toBe(201)

    const undo = await here.mailedToken(tenant.email, 'Your e-mail address was changed')
    expect(await post('/v1/accounts/email/undo', { token: undo })).toBe(204)
    expect((await me(thief.accessToken)).status).toBe(401)
    expect(await renew(thief.refreshToken)).toBe(401)
    expect((await signIn(next)).status).toBe(401)
    expect((await signIn(tenant.email)).status).toBe(401)
    const reset = await here.mailedToken(tenant.email, 'Your e-mail address is back')
    const chosen = { token: reset, password: 'mine again, for good' }
    expect(await post('/v1/accounts/password-reset/use', chosen)).toBe(204)
    expect((await signIn(tenant.email, 'mine again, for good')).status).toBe(201)
  })

  it("cannot be somebody else's, and does not say that it is", async () => {
    const [one, two] = await Promise.all([here.tenant(), here.tenant()])
    const take = (email: string) => post('/v1/accounts/email', { email, password }, one.accessToken)
    expect(await take(two.email.toUpperCase())).toBe(202)
    expect(await take(another())).toBe(202)
    const before = await here.mails(two.email)
    expect(before.filter(({ subject }) => subject.startsWith('Confirm your new'))).toEqual([])
  })

  it('goes to whoever proves it first', async () => {
    const [one, two] = await Promise.all([here.tenant(), here.tenant()])
    const next = another()
    for (const each of [one, two])
      await post('/v1/accounts/email', { email: next, password }, each.accessToken)
    const both = await until('two mails', async () => {
      const all = await here.mails(next)
      return all.length === 2 && all
    })
    const answers = await Promise.all(
      both.map((mail) => post('/v1/accounts/email/confirm', { token: tokenIn(mail) })),
    )
    expect(answers.toSorted((a, b) => a - b)).toEqual([200, 410])
  })

  it('is nothing for a key or a stranger', async () => {
    const body = { email: another(), password }
    expect(await post('/v1/accounts/email', body, acme.apiKey)).toBe(403)
    expect(await post('/v1/accounts/email', body)).toBe(401)
    expect(
      await post('/v1/accounts/password', { oldPassword: password, password: 'xxxxxxxxx1' }, acme.apiKey),
    ).toBe(403)
  })
})
