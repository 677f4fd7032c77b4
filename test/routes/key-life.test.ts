import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { apiKeyCacheKey } from '#src/cache/api-keys.ts'
import { newApiKey } from '#src/domain/api-key.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { Permission } from '#src/domain/role.ts'
import { client } from '#test/support/own-stack.ts'
import { bodyOf, entrance, json } from '#test/http/entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
type Owner = Awaited<ReturnType<Entrance['owner']>>
type Key = {
  id: string
  key: string
  scopes: string[]
  userId?: string
  serviceAccountId?: string
  expiresAt?: string
  replacedBy?: string
  lastUsedFrom?: string
}

let here: Entrance
/** Another isolate: its own app, the same Redis and database. */
let there: Entrance
/** As here, with a clock that is moved on. */
let later: Entrance
let clockMs = 0
let acme: Owner
let owner: pg.Client

beforeAll(async () => {
  here = await entrance()
  there = await entrance()
  later = await entrance({ now: () => new Date(Date.now() + clockMs) })
  acme = await here.owner()
  owner = await client(inject('ownerUrl'))
})
afterAll(() => owner.end())

const bearer = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } })
const statusOf = async (door: Entrance, key: string, path = '/v1/me', address?: string): Promise<number> =>
  (await door.send(path, bearer(key), door.from(address))).status
const made = async (answer: Response | Promise<Response>): Promise<Key> => {
  const response = await answer
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
  return bodyOf<Key>(response)
}
const newKey = (more: object = {}) =>
  made(acme.fetch('/v1/api-keys', json({ name: 'k', scopes: ['runs:read'], ...more })))
/** As if half a minute had passed. */
const forgotten = async (key: string) => here.services.cache.del(apiKeyCacheKey(await sha256(key)))
const setRole = (user: string, role: string) =>
  owner.query('update memberships set role = $2 where user_id = $1', [user, role])

describe('a personal key', () => {
  it('may do what it was given and its person may do now, and ends with the membership for good', async () => {
    const ben = await here.owner()
    const key = await made(
      ben.fetch(
        '/v1/me/api-keys',
        json({ name: 'mine', scopes: ['runs:read', 'members:read', 'tenant:write'] }),
      ),
    )
    expect(key.userId).toBe(ben.user.id)
    const permissions = async (door: Entrance) => {
      const me = await bodyOf<{ permissions?: Permission[] }>(await door.send('/v1/me', bearer(key.key)))
      return me.permissions
    }
    await setRole(ben.user.id, 'viewer')
    expect(await permissions(here)).toEqual(['runs:read'])
    await setRole(ben.user.id, 'owner')
    await forgotten(key.key)
    expect(await permissions(here)).toEqual(['tenant:write', 'members:read', 'runs:read'])
    const { rows } = await owner.query(`delete from memberships where user_id = $1 returning *`, [
      ben.user.id,
    ])
    await forgotten(key.key)
    expect(await statusOf(here, key.key)).toBe(401)
    await owner.query(
      'insert into memberships (tenant_id, user_id, role) select tenant_id, user_id, role from jsonb_populate_record(null::memberships, $1)',
      [JSON.stringify(rows[0])],
    )
    expect(await statusOf(there, key.key)).toBe(401)
  })

  it('is nobody else’s: it is seen, ended and rotated by its person alone, and ended by those who look after keys', async () => {
    const theirs = await newKey()
    const ben = await here.owner()
    expect((await ben.fetch(`/v1/me/api-keys/${theirs.id}`, { method: 'DELETE' })).status).toBe(404)
    expect((await ben.fetch(`/v1/me/api-keys/${theirs.id}/rotate`, json({}))).status).toBe(404)
    const account = await bodyOf<{ id: string }>(
      await acme.fetch('/v1/service-accounts', json({ name: 'rotator', role: 'owner' })),
    )
    const machine = await newKey({ serviceAccountId: account.id, scopes: ['api-keys:write', 'runs:read'] })
    const as = acme.as(machine.key)
    expect((await as(`/v1/api-keys/${theirs.id}/rotate`, json({}))).status).toBe(403)
    expect((await as('/v1/me/api-keys')).status).toBe(403)
    expect((await as(`/v1/api-keys/${theirs.id}`, { method: 'DELETE' })).status).toBe(204)
    expect(await statusOf(here, theirs.key)).toBe(401)
  })
})

describe('a service account', () => {
  it('has keys that may do what its role allows, and none while it is disabled', async () => {
    const account = await bodyOf<{ id: string; disabled: boolean }>(
      await acme.fetch('/v1/service-accounts', json({ name: 'loader', role: 'operator' })),
    )
    const path = `/v1/service-accounts/${account.id}`
    const key = await newKey({ serviceAccountId: account.id, scopes: ['runs:read', 'members:read'] })
    expect(key.serviceAccountId).toBe(account.id)
    const me = await bodyOf<{ permissions: string[] }>(await there.send('/v1/me', bearer(key.key)))
    expect(me.permissions).toEqual(['runs:read'])
    const patch = (body: object) => acme.fetch(path, { ...json(body), method: 'PATCH' })
    expect(await bodyOf(await patch({ disabled: true }))).toMatchObject({ disabled: true })
    expect(await statusOf(there, key.key)).toBe(401)
    expect(await bodyOf(await patch({ disabled: false, role: 'admin' }))).toMatchObject({
      disabled: false,
      role: 'admin',
    })
    expect(await bodyOf(await there.send('/v1/me', bearer(key.key)))).toMatchObject({
      permissions: ['members:read', 'runs:read'],
    })
    expect((await acme.fetch(path, { method: 'DELETE' })).status).toBe(204)
    expect(await statusOf(there, key.key)).toBe(401)
    expect((await acme.fetch(path)).status).toBe(404)
  })

  it('is refused a role beyond its maker, a name twice and another tenant’s eyes', async () => {
    const admin = await made(
      acme.fetch('/v1/api-keys', json({ name: 'a', scopes: ['api-keys:write', 'runs:read'] })),
    )
    const as = acme.as(admin.key)
    const account = (name: string, role: string, fetch = acme.fetch) =>
      fetch('/v1/service-accounts', json({ name, role }))
    expect((await account('strong', 'admin', as)).status).toBe(403)
    expect((await account('unknown', 'rol_00000000000000000000000000')).status).toBe(422)
    const first = await account('same', 'viewer')
    expect([first.status, (await account('same', 'viewer')).status]).toEqual([201, 409])
    const { id } = await bodyOf<{ id: string }>(first)
    const other = await here.owner()
    expect((await other.fetch(`/v1/service-accounts/${id}`)).status).toBe(404)
    expect(
      (await other.fetch('/v1/api-keys', json({ name: 'x', scopes: ['runs:read'], serviceAccountId: id })))
        .status,
    ).toBe(404)
    expect(await (await other.fetch('/v1/service-accounts')).text()).not.toContain(id)
  })
})

describe('rotation', () => {
  it('makes a key like the old one, which is good for the overlap and no longer', async () => {
    const until = new Date(Date.now() + 30 * 86_400_000).toISOString()
    const old = await newKey({
      expiresAt: until,
      scopes: ['runs:read', 'api-keys:read'],
      ipAllow: ['198.51.100.0/24'],
    })
    const from = '198.51.100.7'
    expect(await statusOf(later, old.key, '/v1/me', from)).toBe(200)
    const answer = await acme.fetch(`/v1/api-keys/${old.id}/rotate`, json({ overlapMs: 3_600_000 }))
    const next = await made(answer)
    expect(next).toMatchObject({
      scopes: ['runs:read', 'api-keys:read'],
      ipAllow: ['198.51.100.0/24'],
      userId: acme.user.id,
    })
    expect(Math.abs(Date.parse(next.expiresAt ?? '') - Date.parse(until))).toBeLessThan(60_000)
    expect(await bodyOf(await acme.fetch(`/v1/api-keys/${old.id}`))).toMatchObject({ replacedBy: next.id })
    for (const key of [old.key, next.key]) expect(await statusOf(later, key, '/v1/me', from)).toBe(200)
    clockMs = 3_590_000
    expect(await statusOf(later, old.key, '/v1/me', from)).toBe(200)
    clockMs = 3_601_000
    expect(await statusOf(later, old.key, '/v1/me', from)).toBe(401)
    expect(await statusOf(later, next.key, '/v1/me', from)).toBe(200)
    clockMs = 0
    expect((await acme.fetch(`/v1/api-keys/${old.id}/rotate`, json({}))).status).toBe(409)
  })

  it('without an overlap ends the old key everywhere at once; longer than a week it is refused', async () => {
    const old = await newKey()
    expect(await statusOf(there, old.key)).toBe(200)
    expect(
      (await acme.fetch(`/v1/api-keys/${old.id}/rotate`, json({ overlapMs: 8 * 86_400_000 }))).status,
    ).toBe(422)
    const next = await made(acme.fetch(`/v1/api-keys/${old.id}/rotate`, json({})))
    expect([await statusOf(there, old.key), await statusOf(there, next.key)]).toEqual([401, 200])
  })

  it('is done once of two that ask at the same time', async () => {
    const old = await newKey()
    const both = await Promise.all(
      [0, 1].map(() => acme.fetch(`/v1/api-keys/${old.id}/rotate`, json({ overlapMs: 1_000 }))),
    )
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409])
  })
})

describe('a list of addresses', () => {
  it.each([
    ['203.0.113.0/24', '203.0.113.9', 200],
    ['203.0.113.0/24', '203.0.114.9', 403],
    ['203.0.113.0/24', '::ffff:203.0.113.9', 200],
    ['2001:db8:1::/48', '2001:db8:1:2::3', 200],
    ['2001:db8:1::/48', '2001:db8:2::3', 403],
    ['203.0.113.9', '2001:db8::1', 403],
  ])('%s, asked from %s: %i', async (range, address, status) => {
    const key = await newKey({ ipAllow: [range] })
    // Once from the database, once from the cache.
    for (const door of [here, there]) expect(await statusOf(door, key.key, '/v1/me', address)).toBe(status)
  })

  it('must be one of addresses', async () => {
    for (const wrong of ['somewhere', '203.0.113.0/33', '203.0.113.1/24', '::/129']) {
      const answer = await acme.fetch(
        '/v1/api-keys',
        json({ name: 'x', scopes: ['runs:read'], ipAllow: [wrong] }),
      )
      expect([wrong, answer.status]).toEqual([wrong, 422])
    }
  })

  it('is kept beside from where a key was last used', async () => {
    const key = await newKey()
    await statusOf(here, key.key, '/v1/me', '192.0.2.77')
    expect(await bodyOf(await acme.fetch(`/v1/api-keys/${key.id}`))).toMatchObject({
      lastUsedFrom: '192.0.2.77',
    })
  })
})

describe('revocation', () => {
  it('of all keys of a person, of an account or of the tenant is in force in every isolate at once', async () => {
    const ben = await here.owner()
    const account = await bodyOf<{ id: string }>(
      await ben.fetch('/v1/service-accounts', json({ name: 'a', role: 'viewer' })),
    )
    const key = (more: object = {}) =>
      made(ben.fetch('/v1/api-keys', json({ name: 'k', scopes: ['runs:read'], ...more })))
    const [mine, also, machine] = [await key(), await key(), await key({ serviceAccountId: account.id })]
    const all = () => Promise.all([mine, also, machine].map((one) => statusOf(there, one.key)))
    expect(await all()).toEqual([200, 200, 200])
    const revoke = async (body: object) => (await ben.fetch('/v1/api-keys/revoke-all', json(body))).json()
    expect(await revoke({ userId: ben.user.id })).toEqual({ revoked: 2 })
    expect(await all()).toEqual([401, 401, 200])
    expect(await revoke({ all: true })).toEqual({ revoked: 1 })
    expect(await all()).toEqual([401, 401, 401])
    const others = await newKey()
    expect(await statusOf(there, others.key)).toBe(200)
  })

  it('by whoever has found a key needs no credential, and tells nobody whether there was one', async () => {
    const key = await newKey()
    expect(await statusOf(there, key.key)).toBe(200)
    const revoke = async (text: string) => {
      const answer = await here.send('/v1/api-keys/revoke', json({ key: text }))
      return [answer.status, await answer.text()]
    }
    const answers = [
      await revoke(key.key),
      await revoke(key.key),
      await revoke(newApiKey()),
      await revoke('weir_live_x'),
    ]
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set([JSON.stringify([202, '{"accepted":true}'])]),
    )
    expect(await statusOf(there, key.key)).toBe(401)
    expect((await acme.fetch(`/v1/api-keys/${key.id}`)).status).toBe(404)
  })
})
