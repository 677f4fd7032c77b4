import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { startRedis, type LocalRedis } from '#local/redis.ts'
import type { RedisFault } from '#local/redis/faults.ts'
import { refreshTenantRecord } from '#src/actions/tenant-record.ts'
import { connectRedis } from '#src/cache/redis.ts'
import { member, send, type Person } from '#test/support/member.ts'
import { client } from '#test/support/own-stack.ts'
import { json } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let redis: LocalRedis
let owner: pg.Client
let here: World
let acme: Tenant
const clock = { ahead: 0 }
const logged: Record<string, unknown>[] = []
/** Every request counts, so a limit of a few is soon at its end. */
const few = 8

beforeAll(async () => {
  redis = await startRedis({ token: 'a-redis-of-this-file' })
  owner = await client(inject('ownerUrl'))
  const cache = connectRedis({ url: redis.url, token: redis.token })
  here = await world((services) => {
    const { limits } = services
    return {
      ...services,
      cache,
      now: () => new Date(Date.now() + clock.ahead),
      log: (line) => void logged.push(line),
      limits: {
        ...limits,
        apiKey: { ...limits.apiKey, limit: few },
        address: { ...limits.address, limit: few },
      },
    }
  })
  acme = await here.tenant()
})
afterEach(() => {
  redis.faults.clear()
  clock.ahead = 0
})
afterAll(async () => {
  await here.close()
  await redis.stop()
  await owner.end()
})

const away = (fault: RedisFault = { kind: 'refuse' }) => redis.faults.inject(fault)
const status = async (answer: Promise<Response>): Promise<number> => (await answer).status
const asOwner: Tenant['fetch'] = (path, init = {}) =>
  acme.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${acme.accessToken}` } })
const someone = (role: 'viewer' | 'admin') => member(here, owner, acme, role)

/** A key of the owner, with its own count. */
async function newKey(more: object = {}): Promise<{ id: string; fetch: Tenant['fetch'] }> {
  const body = { name: 'k', scopes: ['runs:read', 'members:read'], ...more }
  const { id, key } = await json<{ id: string; key: string }>(
    await asOwner('/v1/api-keys', { method: 'POST', body }),
    201,
  )
  return {
    id,
    fetch: (path, init = {}) =>
      acme.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } }),
  }
}

const ways: [string, RedisFault][] = [
  ['cannot be reached', { kind: 'refuse' }],
  ['takes the token for none', { kind: 'unauthorized' }],
  ['answers with an error', { kind: 'error', status: 503, message: 'away' }],
  ['refuses every command', { kind: 'error', status: 400, message: 'ERR max memory' }],
  ['does, and then says nothing', { kind: 'dropReply' }],
]

describe.each(ways)('while Redis %s', (_, fault) => {
  it('who is signed in and who has a key goes on; what has ended is refused at once; nobody signs in', async () => {
    const [stays, goes] = [await someone('viewer'), await someone('viewer')]
    const [good, bad] = [await newKey(), await newKey()]
    for (const one of [stays, goes, good, bad]) expect(await status(one.fetch('/v1/me'))).toBe(200)
    await owner.query(
      'update sessions set revoked_at = now() where tenant_id = $1 and user_id = $2 and revoked_at is null',
      [acme.id, goes.userId],
    )
    await owner.query('update api_keys set revoked_at = now() where tenant_id = $1 and id = $2', [
      acme.id,
      bad.id,
    ])
    away(fault)
    const found = []
    for (const one of [stays, goes, good, bad]) found.push(await status(one.fetch('/v1/me')))
    expect(found).toEqual([200, 401, 200, 401])
    expect(logged.at(-1)).toMatchObject({ event: 'request', status: 401 })
    expect(logged.some(({ event }) => event === 'cache_unavailable')).toBe(true)
    const { email, password } = stays
    const signIn = await send(here, '/v1/sessions', { body: { email, password } })
    expect(signIn.status).toBe(503)
    expect(Number(signIn.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('while Redis is away', () => {
  it('a request waits for it two seconds at the most', async () => {
    const key = await newKey()
    away({ kind: 'latency', ms: 20_000 })
    const startedMs = performance.now()
    expect(await status(key.fetch('/v1/me'))).toBe(200)
    expect(performance.now() - startedMs).toBeLessThan(2_500)
  })

  it('limits hold nobody back, good credential or none, and no answer speaks of them', async () => {
    const key = await newKey()
    const strangers = () => here.app.fetch(new Request(`${here.url}/v1/me`), { address: '203.0.113.77' })
    const before: number[] = []
    for (let n = 0; n < few + 1; n++) before.push(await status(key.fetch('/v1/me')))
    expect(before.at(-1)).toBe(429)
    away()
    for (let n = 0; n < few + 1; n++) {
      const answer = await key.fetch('/v1/me')
      expect([answer.status, answer.headers.get('ratelimit')]).toEqual([200, null])
      expect(await status(Promise.resolve(strangers()))).toBe(401)
    }
  })

  it('whatever a limit protects stands still: sign-ups, links, second factors, new tokens', async () => {
    const person = await someone('viewer')
    away()
    const { email, password, refreshToken } = person
    const asked: [string, object][] = [
      ['/v1/sign-up', { email: 'x@example.com', password: 'correct horse battery staple', tenantName: 'x' }],
      ['/v1/sessions/link', { email }],
      ['/v1/sessions/refresh', { refreshToken }],
      ['/v1/sessions/factor', { token: 'x'.repeat(43), code: '000000' }],
    ]
    for (const [path, body] of asked)
      expect([path, await status(send(here, path, { body }))]).toEqual([path, 503])
    expect(await status(person.fetch('/v1/me/step-up', { method: 'POST', body: { password } }))).toBe(503)
    // And nothing was used up by it.
    redis.faults.clear()
    expect(await status(send(here, '/v1/sessions/refresh', { body: { refreshToken } }))).toBe(200)
  })

  it('a role is the one of the database, also to a key, and who has left is out', async () => {
    const person = await someone('admin')
    const personal = await (async () => {
      const made = await person.fetch('/v1/me/api-keys', {
        method: 'POST',
        body: { name: 'mine', scopes: ['members:read'] },
      })
      const { key } = await json<{ key: string }>(made, 201)
      const fetch: Tenant['fetch'] = (path) =>
        acme.fetch(path, { headers: { Authorization: `Bearer ${key}` } })
      return fetch
    })()
    const seen = async () => [
      await status(person.fetch('/v1/members')),
      await status(personal('/v1/members')),
    ]
    expect(await seen()).toEqual([200, 200])
    away()
    const set = (role: string) =>
      owner.query('update memberships set role = $3 where tenant_id = $1 and user_id = $2', [
        acme.id,
        person.userId,
        role,
      ])
    await set('viewer')
    expect(await seen()).toEqual([403, 403])
    await set('admin')
    expect(await seen()).toEqual([200, 200])
    await owner.query('delete from memberships where tenant_id = $1 and user_id = $2', [
      acme.id,
      person.userId,
    ])
    expect(await seen()).toEqual([401, 401])
  })

  it('a service account that is disabled is out, with all its keys', async () => {
    const account = await json<{ id: string }>(
      await asOwner('/v1/service-accounts', { method: 'POST', body: { name: 'loader', role: 'viewer' } }),
      201,
    )
    const key = await newKey({ scopes: ['runs:read'], serviceAccountId: account.id })
    expect(await status(key.fetch('/v1/runs'))).toBe(200)
    away()
    await owner.query('update service_accounts set disabled_at = now() where id = $1', [account.id])
    expect(await status(key.fetch('/v1/runs'))).toBe(401)
  })

  it('the tenant is the one of the database: suspended, closed to an address, with roles of its own', async () => {
    const globex = await here.tenant()
    const asGlobex: Tenant['fetch'] = (path) =>
      globex.fetch(path, { headers: { Authorization: `Bearer ${globex.accessToken}` } })
    const seen = async () => [await status(asGlobex('/v1/runs')), await status(globex.fetch('/v1/runs'))]
    expect(await seen()).toEqual([200, 200])
    away()
    const set = (change: string) =>
      owner.query(`update tenants set ${change} where tenant_id = $1`, [globex.id])
    await set('suspended_at = now()')
    expect(await seen()).toEqual([423, 423])
    await set(`suspended_at = null, ip_allow = '{203.0.113.0/24}'`)
    expect(await seen()).toEqual([403, 403])
    await set(`ip_allow = '{}'`)
    const role = `rol_${'1'.repeat(26)}`
    await owner.query(
      `insert into roles (tenant_id, id, name, permissions, created_by) values ($1, $2, 'r', '{runs:read}', 'x')`,
      [globex.id, role],
    )
    await owner.query('update memberships set role = $2 where tenant_id = $1', [globex.id, role])
    expect(await seen()).toEqual([200, 200])
    expect(await status(asGlobex('/v1/members'))).toBe(403)
  })
})

describe('when Redis is back', () => {
  /** What ends while Redis is away, and whether a token from before it is still good. */
  const ends: [string, (who: Person) => Promise<unknown>][] = [
    ['a session', (who) => who.fetch('/v1/sessions/current', { method: 'DELETE' })],
    ['a membership', ({ userId }) => asOwner(`/v1/members/${userId}`, { method: 'DELETE' })],
  ]

  it.each(ends)(
    '%s that ended meanwhile is over when its access token is, ten minutes later',
    async (_, end) => {
      const person = await someone('viewer')
      expect(await status(person.fetch('/v1/me'))).toBe(200)
      const back = away()
      await end(person)
      expect(await status(person.fetch('/v1/me'))).toBe(401)
      back()
      // Redis was never told, so the token speaks for itself for as long as it lasts, and no new one is to be had.
      expect(await status(person.fetch('/v1/me'))).toBe(200)
      expect(
        await status(send(here, '/v1/sessions/refresh', { body: { refreshToken: person.refreshToken } })),
      ).toBe(401)
      clock.ahead = 10 * 60_000 + 1_000
      expect(await status(person.fetch('/v1/me'))).toBe(401)
    },
  )

  it('ending it once more is told to Redis too', async () => {
    const person = await someone('viewer')
    const back = away()
    expect(await status(person.fetch('/v1/sessions/current', { method: 'DELETE' }))).toBe(503)
    back()
    await person.fetch('/v1/sessions/current', { method: 'DELETE' })
    expect(await status(person.fetch('/v1/me'))).toBe(401)
  })

  it('a key that was revoked meanwhile is over when its copy is, half a minute later', async () => {
    const key = await newKey()
    await key.fetch('/v1/me')
    const back = away()
    expect(await status(asOwner(`/v1/api-keys/${key.id}`, { method: 'DELETE' }))).toBe(204)
    expect(await status(key.fetch('/v1/me'))).toBe(401)
    expect(logged.some(({ event }) => event === 'revocation_not_cached')).toBe(true)
    back()
    const kept = await Promise.all(
      (await here.services.cache.keys('*'))
        .filter((name) => name.includes('api-key'))
        .map((name) => here.services.cache.ttl(name)),
    )
    expect(kept.length).toBeGreaterThan(0)
    // Copies of good keys, and marks of revoked ones, which may stay for longer.
    const [copy] = await owner
      .query('select key_hash from api_keys where id = $1', [key.id])
      .then(({ rows }) => rows.map((row: { key_hash: string }) => row.key_hash))
    const { apiKeyCacheKey } = await import('#src/cache/api-keys.ts')
    expect(await here.services.cache.ttl(apiKeyCacheKey(copy ?? ''))).toBeLessThanOrEqual(30)
  })

  it('what the tenant settled meanwhile holds when its copy is over, half a minute later', async () => {
    const { tenantRecordKey } = await import('#src/cache/tenant-record.ts')
    await refreshTenantRecord(here.services, acme.id)
    const back = away()
    expect(
      await status(
        asOwner('/v1/tenant', { method: 'PATCH', headers: { 'If-Match': '*' }, body: { name: 'renamed' } }),
      ),
    ).toBe(200)
    expect(logged.some(({ event }) => event === 'tenant_not_cached')).toBe(true)
    back()
    const left = await here.services.cache.ttl(tenantRecordKey(acme.id))
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(30)
  })
})
