import { beforeAll, describe, expect, it } from 'vitest'
import { bodyOf, entrance, json, password, type SignedUp } from '#test/http/entrance.ts'

let door: Awaited<ReturnType<typeof entrance>>
beforeAll(async () => {
  door = await entrance()
})

const someEmail = () => `someone-${crypto.randomUUID()}@example.com`
const signUp = (body: unknown) => door.send('/v1/sign-up', json(body))

describe('signing up', () => {
  it('makes a tenant and its owner, signed in', async () => {
    const email = someEmail()
    const answer = await signUp({ tenantName: ' Acme ', email, password })
    const body = await bodyOf<SignedUp>(answer)
    expect(answer.status).toBe(201)
    expect(body).toMatchObject({ tenant: { name: 'Acme' }, user: { email } })
    expect(answer.headers.getSetCookie()).toHaveLength(3)
    const me = await door.send('/v1/me', { headers: { authorization: `Bearer ${body.accessToken}` } })
    expect(await bodyOf(me)).toMatchObject({ tenant: body.tenant, user: { email, role: 'owner' } })
    expect(JSON.stringify(body)).not.toContain(password)
  })

  it('happens once for an address, however it is written and whoever is faster', async () => {
    const email = someEmail()
    const answers = await Promise.all(
      [email, email.toUpperCase(), email].map((each) =>
        signUp({ tenantName: 'Acme', email: each, password }),
      ),
    )
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(2)
  })

  it.each([
    [{ tenantName: 'A', email: 'nobody', password }, ['email']],
    [{ tenantName: ' ', email: 'a@example.com', password }, ['tenantName']],
    [{ tenantName: 'A', email: 'a@example.com', password: 'short7!' }, ['password']],
    [{ tenantName: 'A', email: 'a@example.com', password: 'x'.repeat(257) }, ['password']],
    [{}, ['tenantName', 'email', 'password']],
  ])('says what is wrong: %j', async (body, fields) => {
    const answer = await signUp(body)
    expect(answer.status).toBe(422)
    expect((await bodyOf(answer)).fields?.map(({ path }) => path)).toEqual(fields)
  })

  it('takes any password of 8 to 256 characters as it is', async () => {
    for (const each of ['  pässw ', '🔑'.repeat(256)]) {
      const email = someEmail()
      expect((await signUp({ tenantName: 'A', email, password: each })).status).toBe(201)
      const signIn = (attempt: string) => door.send('/v1/sessions', json({ email, password: attempt }))
      expect((await signIn(each)).status).toBe(201)
      expect((await signIn(each.slice(0, -2))).status).toBe(401)
    }
  })

  it('cannot choose a role, an id or a tenant', async () => {
    const extra = { role: 'viewer', tenantId: 'ten_mine', userId: 'usr_mine', id: 'x' }
    const body = await bodyOf<SignedUp>(
      await signUp({ tenantName: 'A', email: someEmail(), password, ...extra }),
    )
    expect(body.tenant.id).not.toBe('ten_mine')
    expect(body.user.id).not.toBe('usr_mine')
  })
})
