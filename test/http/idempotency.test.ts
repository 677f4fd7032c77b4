import { eq } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import { idempotencyKeys } from '#src/db/schema.ts'
import { Problem } from '#src/domain/problem.ts'
import { bodyOf, entrance, json } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
type Owner = Awaited<ReturnType<Entrance['owner']>>
let door: Entrance
let acme: Owner
let globex: Owner

beforeAll(async () => {
  door = await entrance()
  ;[acme, globex] = await Promise.all([door.owner(), door.owner()])
})

const newKey = () => crypto.randomUUID()
const post = (owner: Owner, key: string, body: unknown = { name: 'thing' }, path = '/v1/things') =>
  owner.fetch(path, json(body, { 'idempotency-key': key }))

/** The stored row of a key, read as its tenant. */
async function rowOf(owner: Owner, key: string) {
  const tenantId = owner.tenant.id as `ten_${string}`
  const tdb = door.services.database.tenant(tenantId, owner.user.id)
  const [rows] = await tdb.run(tdb.sql.select().from(idempotencyKeys).where(eq(idempotencyKeys.key, key)))
  return { row: rows[0], tdb }
}

describe('Idempotency-Key', () => {
  it('replays the answer instead of doing it again', async () => {
    const key = newKey()
    const before = door.things.effects
    const first = await post(acme, key)
    const again = await post(acme, key)
    expect(first.headers.has('idempotency-replayed')).toBe(false)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect([again.status, again.headers.get('location')]).toEqual([201, first.headers.get('location')])
    expect(await again.text()).toBe(await first.text())
    expect(door.things.effects).toBe(before + 1)
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
  })

  it('takes the key quoted, as the draft has it, or bare', async () => {
    const key = newKey()
    await post(acme, `"${key}"`)
    expect((await post(acme, key)).headers.get('idempotency-replayed')).toBe('true')
    for (const bad of ['', '""', 'a b', 'x'.repeat(256), '"unclosed\u00e9']) {
      expect((await post(acme, bad)).status).toBe(400)
    }
  })

  it('lets one of fifty that come at once happen', async () => {
    const key = newKey()
    const before = door.things.effects
    let release = () => {}
    door.things.waitFor = new Promise((resolve) => (release = resolve))
    const answers = Array.from({ length: 50 }, () => post(acme, key))
    setTimeout(release, 300)
    const statuses = (await Promise.all(answers)).map((answer) => answer.status)
    expect(door.things.effects).toBe(before + 1)
    expect(statuses.filter((status) => status === 201).length).toBeGreaterThanOrEqual(1)
    expect(statuses.filter((status) => status !== 201 && status !== 409)).toEqual([])
    const busy = statuses.filter((status) => status === 409)
    expect(busy.length).toBeGreaterThan(0)
    expect((await post(acme, key)).headers.get('idempotency-replayed')).toBe('true')
  })

  it('refuses another request under the same key: body, bytes, query, path', async () => {
    const key = newKey()
    await post(acme, key)
    const spaced = { ...json(0, { 'idempotency-key': key }), body: '{"name": "thing"}' }
    const others = [
      await post(acme, key, { name: 'other' }),
      await acme.fetch('/v1/things', spaced),
      await post(acme, key, { name: 'thing' }, '/v1/things?x=1'),
      await post(acme, key, { name: 'thing' }, '/v1/api-keys'),
    ]
    for (const answer of others) {
      const problem = await bodyOf(answer)
      expect([answer.status, problem.code]).toEqual([422, 'invalid'])
      expect(problem.detail).not.toContain('/v1/things')
    }
  })

  it("never replays to another tenant, to another of the tenant's actors or to nobody", async () => {
    const key = newKey()
    const first = await bodyOf<{ number: number }>(await post(acme, key))
    const other = await post(globex, key)
    expect(other.headers.has('idempotency-replayed')).toBe(false)
    expect((await bodyOf<{ number: number }>(other)).number).not.toBe(first.number)
    const apiKey = await acme.key(['runs:read'])
    const byKey = await apiKey.fetch('/v1/things', json({ name: 'thing' }, { 'idempotency-key': key }))
    expect(byKey.headers.has('idempotency-replayed')).toBe(false)
    const nobody = await door.send('/v1/things', json({ name: 'thing' }, { 'idempotency-key': key }))
    expect(nobody.status).toBe(401)
  })

  it('replays what the caller did wrong, and forgets what may turn out otherwise', async () => {
    const wrong = newKey()
    expect((await post(acme, wrong, { name: 'x' })).status).toBe(422)
    expect((await post(acme, wrong, { name: 'x' })).headers.get('idempotency-replayed')).toBe('true')
    for (const [code, status] of [
      ['unavailable', 503],
      ['forbidden', 403],
      ['internal', 500],
    ] as const) {
      const key = newKey()
      door.things.fail = new Problem(code, 'Not now.')
      expect((await post(acme, key)).status).toBe(status)
      door.things.fail = undefined
      const retried = await post(acme, key)
      expect([retried.status, retried.headers.has('idempotency-replayed')]).toEqual([201, false])
    }
  })

  it('is ignored on a GET', async () => {
    const headers = { 'idempotency-key': newKey() }
    const [one, two] = [await acme.fetch('/v1/me', { headers }), await acme.fetch('/v1/me', { headers })]
    expect([one.status, two.status]).toEqual([200, 200])
    expect(two.headers.has('idempotency-replayed')).toBe(false)
  })

  it('is free again when whoever held it has been gone for a minute', async () => {
    const key = newKey()
    await post(acme, key)
    const { tdb } = await rowOf(acme, key)
    const running = (lockedUntil: Date) =>
      tdb.run(
        tdb.sql
          .update(idempotencyKeys)
          .set({ state: 'running', lockedUntil, status: null, headers: null, body: null })
          .where(eq(idempotencyKeys.key, key)),
      )
    await running(new Date(Date.now() + 30_000))
    const busy = await post(acme, key)
    expect(busy.status).toBe(409)
    expect(Number(busy.headers.get('retry-after'))).toBeGreaterThan(0)
    await running(new Date(Date.now() - 1))
    expect((await post(acme, key, { name: 'other' })).status).toBe(422)
    const taken = await post(acme, key)
    expect([taken.status, taken.headers.has('idempotency-replayed')]).toEqual([201, false])
  })

  it('forgets after a day', async () => {
    const key = newKey()
    await post(acme, key)
    const { tdb } = await rowOf(acme, key)
    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000)
    await tdb.run(
      tdb.sql.update(idempotencyKeys).set({ createdAt: yesterday }).where(eq(idempotencyKeys.key, key)),
    )
    const anew = await post(acme, key, { name: 'something else' })
    expect([anew.status, anew.headers.has('idempotency-replayed')]).toEqual([201, false])
  })

  it('keeps a key that is shown once sealed in the database', async () => {
    const key = newKey()
    const made = await post(acme, key, { name: 'ci', scopes: ['runs:read'] }, '/v1/api-keys')
    const { key: secret } = await bodyOf<{ key: string }>(made)
    const { row } = await rowOf(acme, key)
    expect(row?.status).toBe(201)
    expect(JSON.stringify(row)).not.toContain(secret)
    const replayed = await post(acme, key, { name: 'ci', scopes: ['runs:read'] }, '/v1/api-keys')
    expect((await bodyOf<{ key: string }>(replayed)).key).toBe(secret)
  })

  it('never stores cookies', async () => {
    const key = newKey()
    await post(acme, key)
    const { row } = await rowOf(acme, key)
    expect(Object.keys(row?.headers ?? {}).sort()).toEqual(['content-type', 'location'])
  })
})
