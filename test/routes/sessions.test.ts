import { beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#src/domain/limit.ts'
import { bodyOf, entrance, json, password, type SignedUp } from '#test/http/entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>

const signInAccount = { ...defaultLimits.signInAccount, limit: 1000 }
beforeAll(async () => {
  door = await entrance({ limits: { ...defaultLimits, signInAccount } })
  acme = await door.owner()
})

const signIn = (body: unknown) => door.send('/v1/sessions', json(body))
const renew = (refreshToken: string) => door.send('/v1/sessions/refresh', json({ refreshToken }))
const me = (accessToken: string) =>
  door.send('/v1/me', { headers: { authorization: `Bearer ${accessToken}` } }).then(({ status }) => status)
const newSession = async () => bodyOf<SignedUp>(await signIn({ email: acme.email, password }))

describe('signing in', () => {
  it('gives tokens to programs and cookies to browsers', async () => {
    const answer = await signIn({ email: acme.email.toUpperCase(), password })
    const body = await bodyOf<SignedUp>(answer)
    expect(answer.status).toBe(201)
    expect(body).toMatchObject({ tenant: acme.tenant, user: { id: acme.user.id } })
    expect(await me(body.accessToken)).toBe(200)
    const cookies = answer.headers.getSetCookie()
    expect(cookies).toHaveLength(3)
    for (const cookie of cookies) {
      expect(cookie).toMatch(
        /^__Host-(access|refresh|device)=[^;]+; Max-Age=\d+; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
      )
      expect(cookie).not.toMatch(/domain/i)
    }
    expect(cookies[0]).toContain(`Max-Age=600;`)
  })

  it('says the same of a wrong password, an unknown address and a tenant that is not theirs', async () => {
    const other = await door.owner()
    const tries = [
      [{ email: acme.email, password: 'not the password' }, 'password_wrong'],
      [{ email: `nobody-${crypto.randomUUID()}@example.com`, password }, 'account_unknown'],
      [{ email: acme.email, password, tenantId: other.tenant.id }, 'not_a_member'],
      [{ email: "' or 1=1 --", password }, 'account_unknown'],
    ] as const
    const said = new Set<string>()
    for (const [body, reason] of tries) {
      const answer = await signIn(body)
      expect(answer.status).toBe(401)
      expect(answer.headers.getSetCookie()).toEqual([])
      said.add((await bodyOf(answer)).detail)
      expect(door.requestLine()).toMatchObject({ reason })
    }
    expect(said.size).toBe(1)
  })

  it('makes a session of its own each time', async () => {
    const [one, two] = [await newSession(), await newSession()]
    expect(one.refreshToken).not.toBe(two.refreshToken)
    await door.send('/v1/sessions/current', {
      method: 'DELETE',
      headers: { authorization: `Bearer ${one.accessToken}` },
    })
    expect([await me(one.accessToken), await me(two.accessToken)]).toEqual([401, 200])
  })
})

describe('a refresh token', () => {
  it('is exchanged for the next one, under the same session', async () => {
    let { refreshToken } = await newSession()
    for (let i = 0; i < 3; i++) {
      const answer = await renew(refreshToken)
      const body = await bodyOf<SignedUp>(answer)
      expect(answer.status).toBe(200)
      expect(body.refreshToken).not.toBe(refreshToken)
      expect(await me(body.accessToken)).toBe(200)
      refreshToken = body.refreshToken
    }
  })

  it('used a second time ends the session for whoever has it, and no other', async () => {
    const [first, bystander] = [await newSession(), await newSession()]
    const second = await bodyOf<SignedUp>(await renew(first.refreshToken))
    const reused = await renew(first.refreshToken)
    expect(reused.status).toBe(401)
    expect(door.requestLine()).toMatchObject({ reason: 'refresh_reused' })
    expect((await renew(second.refreshToken)).status).toBe(401)
    expect([await me(first.accessToken), await me(second.accessToken)]).toEqual([401, 401])
    expect(await me(bystander.accessToken)).toBe(200)
    expect((await renew(bystander.refreshToken)).status).toBe(200)
  })

  it('never has two children, whoever comes at once', async () => {
    const { refreshToken } = await newSession()
    const answers = await Promise.all(Array.from({ length: 10 }, () => renew(refreshToken)))
    const won = answers.filter(({ status }) => status === 200)
    expect(won).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(9)
    const child = won[0] ? await bodyOf<SignedUp>(won[0]) : undefined
    expect((await renew(child?.refreshToken ?? '')).status).toBe(401)
  })

  it('comes in the cookie from a browser, which needs to say that it is our page', async () => {
    const { refreshToken } = await newSession()
    const cookie = `__Host-refresh=${refreshToken}`
    const from = (headers: Record<string, string>) =>
      door.send('/v1/sessions/refresh', { method: 'POST', headers: { cookie, ...headers } })
    expect((await from({ 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await from({})).status).toBe(403)
    const answer = await from({ 'sec-fetch-site': 'same-origin' })
    expect(answer.status).toBe(200)
    expect(answer.headers.getSetCookie()).toHaveLength(2)
  })

  it('ends with the session, thirty days after signing in at the latest', async () => {
    const { refreshToken, ...session } = await newSession()
    const { refreshTokenExpiresAt } = session as SignedUp & { refreshTokenExpiresAt: string }
    const days = (Date.parse(refreshTokenExpiresAt) - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(29.9)
    expect(days).toBeLessThanOrEqual(30)
    const next = await bodyOf<{ refreshTokenExpiresAt: string }>(await renew(refreshToken))
    expect(Date.parse(next.refreshTokenExpiresAt)).toBe(Date.parse(refreshTokenExpiresAt))
  })

  it.each(['', 'x', `weir_refresh_${'A'.repeat(43)}`, "weir_refresh_' or 1=1 --"])(
    'refuses %j',
    async (token) => {
      expect((await renew(token)).status).toBe(401)
    },
  )

  it('is never good as an access token', async () => {
    expect(await me((await newSession()).refreshToken)).toBe(401)
  })
})

describe('signing out', () => {
  it('ends access and refresh at once, and clears the cookies', async () => {
    const session = await newSession()
    const headers = { authorization: `Bearer ${session.accessToken}` }
    const answer = await door.send('/v1/sessions/current', { method: 'DELETE', headers })
    expect(answer.status).toBe(204)
    for (const cookie of answer.headers.getSetCookie()) expect(cookie).toMatch(/=; Max-Age=0;/)
    expect(answer.headers.getSetCookie()).toHaveLength(2)
    expect(await me(session.accessToken)).toBe(401)
    expect((await renew(session.refreshToken)).status).toBe(401)
  })

  it('is nothing that a key can do', async () => {
    const key = await acme.key()
    expect((await key.fetch('/v1/sessions/current', { method: 'DELETE' })).status).toBe(403)
  })
})
