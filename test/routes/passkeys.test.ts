import { describe, expect, it } from 'vitest'
import { authenticator, type Authenticator, type Twist } from '#test/support/authenticator.ts'
import { fileFactorWorld, minute } from '#test/support/factors.ts'
import { send, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'

type Options = { challenge: string; rpId?: string; rp?: { id?: string }; allowCredentials?: { id: string }[] }

const w = await fileFactorWorld()

const post = (person: Person, path: string, body?: unknown) =>
  person.fetch(path, { method: 'POST', ...(body === undefined ? {} : { body }) })

async function register(person: Person, device: Authenticator, name = 'Key', twist: Twist = {}) {
  const options = await json<Options>(await post(person, '/v1/me/factors/passkeys/options'), 200)
  return post(person, '/v1/me/factors/passkeys', { name, passkey: await device.create(options, twist) })
}

/** Somebody with one passkey. */
async function withPasskey(): Promise<{ person: Person; device: Authenticator; id: string }> {
  const person = await w.someone()
  const device = await authenticator(w.here.url)
  const { id } = await json<{ id: string }>(await register(person, device), 201)
  return { person, device, id }
}

const aloneOptions = async () => json<Options>(await send(w.here, '/v1/sessions/passkey/options'), 200)
const alone = (passkey: unknown) => send(w.here, '/v1/sessions/passkey', { body: { passkey } })
const stepOptions = async (token: string) =>
  (
    await json<{ authentication: Options }>(
      await send(w.here, '/v1/sessions/factor/passkey/options', { body: { token } }),
      200,
    )
  ).authentication

describe('a passkey', () => {
  it('is made for this site and person, named, and shown without its key', async () => {
    const person = await w.someone()
    const device = await authenticator(w.here.url)
    const options = await json<Record<string, unknown>>(
      await post(person, '/v1/me/factors/passkeys/options'),
      200,
    )
    expect(options).toMatchObject({
      rp: { id: '127.0.0.1', name: 'Weir' },
      user: { name: person.email },
      attestation: 'none',
    })
    const { recoveryCodes } = await json<{ recoveryCodes: string[] }>(
      await register(person, device, 'Laptop'),
      201,
    )
    expect(recoveryCodes).toHaveLength(10)
    const more = await authenticator(w.here.url)
    expect(await json(await register(person, more, 'Phone'), 201)).toMatchObject({ recoveryCodes: [] })
    const { items } = await json<{ items: { id: string; name: string }[] }>(
      await person.fetch('/v1/me/factors'),
      200,
    )
    expect(items.map(({ name }) => name)).toEqual(['Laptop', 'Phone'])
    expect(new Set(Object.keys(items[0] ?? {}))).toEqual(new Set(['createdAt', 'id', 'kind', 'name']))
    const patched = await person.fetch(`/v1/me/factors/${items[0]?.id}`, {
      method: 'PATCH',
      body: { name: 'Old laptop' },
    })
    expect(patched.status).toBe(204)
    expect(JSON.stringify(await json(await person.fetch('/v1/me/factors'), 200))).toContain('Old laptop')
    expect((await register(person, device, 'Again')).status).toBe(409)
  })

  it('is the second factor of a sign-in, also when it has not verified its user', async () => {
    const { person, device } = await withPasskey()
    const { token, factors } = await w.challengeOf(person)
    expect(factors).toEqual(['passkey', 'recovery'])
    const options = await stepOptions(token)
    expect(options.allowCredentials).toHaveLength(1)
    const passkey = await device.get(options, { verified: false })
    expect((await w.finish({ token, passkey })).status).toBe(201)
    const { items } = await json<{ items: { lastUsedAt?: string }[] }>(
      await person.fetch('/v1/me/factors'),
      200,
    )
    expect(items[0]?.lastUsedAt).toBeDefined()
  })

  it('is enough alone when it has verified its user', async () => {
    const { person, device } = await withPasskey()
    const back = await w.back(person, await alone(await device.get(await aloneOptions())))
    const { items } = await json<{ items: { current: boolean; amr: string[] }[] }>(
      await back.fetch('/v1/sessions'),
      200,
    )
    expect(items.find(({ current }) => current)?.amr).toEqual(['passkey'])
    expect((await alone(await device.get(await aloneOptions(), { verified: false }))).status).toBe(401)
  })

  it.each([
    ['another site', { origin: 'https://weir.example' }],
    ['another relying party', { rpId: 'weir.example' }],
    ['a registration', { type: 'webauthn.create' }],
    ['a count that has been before', { count: 1 }],
  ] satisfies [string, Twist][])('is refused with %s', async (_, twist) => {
    const { device } = await withPasskey()
    expect((await alone(await device.get(await aloneOptions()))).status).toBe(201)
    expect((await alone(await device.get(await aloneOptions(), twist))).status).toBe(401)
    expect((await alone(await device.get(await aloneOptions()))).status).toBe(201)
  })

  it('signs each challenge once, for five minutes, and for what it was given', async () => {
    const { person, device } = await withPasskey()
    const options = await aloneOptions()
    expect((await alone(await device.get(options))).status).toBe(201)
    expect((await alone(await device.get(options))).status).toBe(401)
    const { token } = await w.challengeOf(person)
    const passkey = await device.get(await aloneOptions())
    expect((await w.finish({ token, passkey })).status).toBe(401)
    expect((await alone(await device.get(await stepOptions(token)))).status).toBe(401)
    const late = await aloneOptions()
    w.clock.ahead = 5 * minute + 1_000
    expect((await alone(await device.get(late))).status).toBe(401)
    const changed = await device.get(await aloneOptions())
    changed.response.signature = changed.response.signature.replace(/.{4}$/, 'AAAA')
    expect((await alone(changed)).status).toBe(401)
    expect(
      (await alone({ ...changed, response: { ...changed.response, clientDataJSON: 'e30' } })).status,
    ).toBe(401)
  })

  it('lets one of two through that come with the same signature', async () => {
    const { device } = await withPasskey()
    const passkey = await device.get(await aloneOptions())
    const both = await Promise.all([alone(passkey), alone(passkey)])
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 401])
  })

  it('of one person does not finish the sign-in of another, nor does the challenge of one', async () => {
    const [ada, bob] = [await withPasskey(), await withPasskey()]
    const [forAda, forBob] = [await w.challengeOf(ada.person), await w.challengeOf(bob.person)]
    const bobs = await bob.device.get(await stepOptions(forAda.token))
    expect((await w.finish({ token: forAda.token, passkey: bobs })).status).toBe(401)
    const adas = await ada.device.get(await stepOptions(forBob.token))
    expect((await w.finish({ token: forAda.token, passkey: adas })).status).toBe(401)
  })

  it('cannot be registered by another session than the one that asked, or for another site', async () => {
    const person = await w.someone()
    const device = await authenticator(w.here.url)
    const other = await w.back(person, await w.passwordStep(person))
    const options = await json<Options>(await post(person, '/v1/me/factors/passkeys/options'), 200)
    const made = { name: 'x', passkey: await device.create(options) }
    expect((await post(other, '/v1/me/factors/passkeys', made)).status).toBe(422)
    expect((await register(person, device, 'x', { origin: 'https://weir.example' })).status).toBe(422)
    expect((await register(person, device, 'x', { rpId: 'weir.example' })).status).toBe(422)
    expect((await register(person, device)).status).toBe(201)
  })

  it('proves a session again, and is removed only after such a proof', async () => {
    const { person, device, id } = await withPasskey()
    await w.owner.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
      person.userId,
    ])
    const remove = () => person.fetch(`/v1/me/factors/${id}`, { method: 'DELETE' })
    expect((await remove()).status).toBe(403)
    const options = await json<Options>(await post(person, '/v1/me/step-up/options'), 200)
    expect((await post(person, '/v1/me/step-up', { passkey: await device.get(options) })).status).toBe(200)
    expect((await remove()).status).toBe(204)
    expect((await remove()).status).toBe(404)
    expect(await json(await person.fetch('/v1/me/factors'), 200)).toMatchObject({
      items: [],
      recoveryCodes: 0,
    })
    expect((await alone(await device.get(await aloneOptions()))).status).toBe(401)
    expect((await w.passwordStep(person)).status).toBe(201)
  })
})
