import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createApp } from '#src/app.ts'
import { publicRoutes } from '#src/http/public-routes.ts'
import { connectRedis } from '#src/cache/redis.ts'
import { sha256 } from '#src/domain/digest.ts'
import { apiKeyCacheKey } from '#src/cache/api-keys.ts'
import { bodyOf, entrance, json, unknownKey } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>
let globex: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  ;[acme, globex] = await Promise.all([door.owner(), door.owner()])
})
afterEach(() => {
  vi.restoreAllMocks()
})

const cookie = (token: string) => ({ cookie: `theme=dark; __Host-access=${token}; x=y` })

describe('who is calling', () => {
  it('knows a person by access token or cookie, and a program by its key', async () => {
    const key = await acme.key(['runs:read'])
    const byToken = await bodyOf(await acme.fetch('/v1/me'))
    const byCookie = await bodyOf(await door.send('/v1/me', { headers: cookie(acme.accessToken) }))
    const byKey = await bodyOf(await key.fetch('/v1/me'))
    expect(byToken).toMatchObject({
      tenant: { id: acme.tenant.id },
      user: { id: acme.user.id, role: 'owner' },
    })
    expect(byCookie).toEqual(byToken)
    expect(byKey).toMatchObject({
      tenant: { id: acme.tenant.id },
      apiKey: { id: key.id },
      permissions: ['runs:read'],
    })
  })

  it('says the same to every bad credential and writes the true reason only to the log', async () => {
    const key = await acme.key()
    await acme.fetch(`/v1/api-keys/${key.id}`, { method: 'DELETE' })
    const bad: [header: string | undefined, reason: string][] = [
      [undefined, 'no_credential'],
      ['Basic YTpi', 'not_bearer'],
      ['Bearer', 'not_bearer'],
      ['Bearer weir_live_' + 'a'.repeat(36), 'key_checksum'],
      [`Bearer ${unknownKey()}`, 'key_unknown'],
      [`Bearer ${key.key}`, 'key_revoked'],
      ['Bearer not.a.token', 'jws_invalid'],
      [`Bearer ${acme.accessToken.slice(0, -4)}AAAA`, 'jws_signature_verification_failed'],
      [`Bearer ${acme.refreshToken}`, 'jws_invalid'],
    ]
    const details = new Set<string>()
    for (const [authorization, reason] of bad) {
      const answer = await door.send(
        '/v1/me',
        authorization === undefined ? {} : { headers: { authorization } },
      )
      const problem = await bodyOf(answer)
      details.add(problem.detail)
      expect([answer.status, problem.code]).toEqual([401, 'unauthenticated'])
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="weir"/)
      expect(door.requestLine()).toMatchObject({ status: 401, reason })
      expect(JSON.stringify(problem)).not.toContain(reason)
    }
    expect(details.size).toBe(1)
  })

  it('refuses two credentials at once', async () => {
    const headers = { ...cookie(acme.accessToken), authorization: `Bearer ${acme.accessToken}` }
    expect((await door.send('/v1/me', { headers })).status).toBe(400)
  })

  it.each(['api_key=x', 'apikey=x', 'access_token=x', 'a=1&token=x', `q=${unknownKey()}`])(
    'refuses a credential in the address: ?%s',
    async (query) => {
      expect((await acme.fetch(`/v1/me?${query}`)).status).toBe(400)
    },
  )

  it("never mixes two tenants' keys", async () => {
    const [one, other] = await Promise.all([acme.key(['api-keys:read']), globex.key(['api-keys:read'])])
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? one : other).fetch('/v1/me').then((r) => bodyOf(r))),
    )
    for (const [i, answer] of answers.entries()) {
      expect(answer).toMatchObject({ tenant: { id: i % 2 ? acme.tenant.id : globex.tenant.id } })
    }
  })

  it('answers nothing without a credential but what the table of public routes names', async () => {
    const seen = new Set<string>()
    for (const { method, path } of door.app.routes) {
      if (method === 'ALL') continue
      const name = `${method} ${path}`
      seen.add(name)
      if (name in publicRoutes) continue
      const answer = await door.send(path.replace(/:\w+/g, 'x'), { method })
      expect([name, answer.status]).toEqual([name, 401])
    }
    const real = createApp(door.services).routes.map(({ method, path }) => `${method} ${path}`)
    for (const name of Object.keys(publicRoutes)) expect(real).toContain(name)
    expect(seen.size).toBeGreaterThan(12)
  })
})

describe('an API key', () => {
  it('does what its scopes say and no more', async () => {
    const key = await acme.key(['runs:read'])
    expect((await key.fetch('/v1/things/guarded', { method: 'POST' })).status).toBe(403)
    const writer = await acme.key(['runs:write'])
    expect((await writer.fetch('/v1/things/guarded', { method: 'POST' })).status).toBe(200)
  })

  it('is over at once when it is deleted, although it was cached', async () => {
    const key = await acme.key()
    expect((await key.fetch('/v1/me')).status).toBe(200)
    await door.settled()
    expect((await key.fetch('/v1/me')).status).toBe(200)
    await acme.fetch(`/v1/api-keys/${key.id}`, { method: 'DELETE' })
    expect((await key.fetch('/v1/me')).status).toBe(401)
    expect(door.requestLine()).toMatchObject({ reason: 'key_revoked' })
  })

  it('stays revoked when a look-up from before the revocation comes back late', async () => {
    const key = await acme.key()
    await acme.fetch(`/v1/api-keys/${key.id}`, { method: 'DELETE' })
    const { cache } = door.services
    const name = apiKeyCacheKey(await sha256(key.key))
    await cache.set(name, `${acme.tenant.id} ${key.id} 0 runs:read`, { nx: true, ex: 30 })
    expect((await key.fetch('/v1/me')).status).toBe(401)
  })

  it('is cached for at most thirty seconds and its revocation for longer', async () => {
    const key = await acme.key()
    const name = apiKeyCacheKey(await sha256(key.key))
    await key.fetch('/v1/me')
    await door.settled()
    const kept = await door.services.cache.ttl(name)
    expect(kept).toBeGreaterThan(0)
    expect(kept).toBeLessThanOrEqual(30)
    await acme.fetch(`/v1/api-keys/${key.id}`, { method: 'DELETE' })
    expect(await door.services.cache.ttl(name)).toBeGreaterThan(30)
  })

  it('expires when it says, cached or not', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    const made = await acme.fetch('/v1/api-keys', json({ name: 'short', scopes: ['runs:read'], expiresAt }))
    const { key } = await bodyOf<{ key: string }>(made)
    expect((await acme.as(key)('/v1/me')).status).toBe(200)
    await door.settled()
    const later = await entrance({ now: () => new Date(Date.now() + 61_000) })
    const answer = await later.send('/v1/me', { headers: { authorization: `Bearer ${key}` } })
    expect(answer.status).toBe(401)
    expect(later.requestLine()).toMatchObject({ reason: 'key_expired' })
  })

  it('costs one call to Redis and one to Neon once it is warm', async () => {
    const key = await acme.key(['api-keys:read'])
    await key.fetch('/v1/api-keys')
    await door.settled()
    const fetches = vi.spyOn(globalThis, 'fetch')
    expect((await key.fetch('/v1/api-keys')).status).toBe(200)
    await door.settled()
    const paths = fetches.mock.calls.map(([url]) =>
      typeof url === 'string' && url.endsWith('/sql') ? 'neon' : 'redis',
    )
    expect(paths).toEqual(['redis', 'neon'])
  })
})

describe('without Redis', () => {
  const unreachable = connectRedis({ url: 'http://127.0.0.1:9', token: 'none-none-none-none' })

  it('reads go on, keys and ended sessions are checked in the database, and the log says so', async () => {
    const down = await entrance({ cache: unreachable })
    const key = await acme.key()
    const bearer = (credential: string) => ({ headers: { authorization: `Bearer ${credential}` } })
    expect((await down.send('/v1/me', bearer(key.key))).status).toBe(200)
    expect((await down.send('/v1/me', bearer(acme.accessToken))).status).toBe(200)
    expect(down.lines.filter((line) => line['event'] === 'cache_unavailable')).toHaveLength(2)
    await acme.fetch(`/v1/api-keys/${key.id}`, { method: 'DELETE' })
    expect((await down.send('/v1/me', bearer(key.key))).status).toBe(401)
    const leaver = await door.owner()
    await leaver.fetch('/v1/sessions/current', { method: 'DELETE' })
    expect((await down.send('/v1/me', bearer(leaver.accessToken))).status).toBe(401)
  })

  it('nobody signs in or up, and the answer says when to come back', async () => {
    const down = await entrance({ cache: unreachable })
    for (const path of ['/v1/sign-up', '/v1/sessions', '/v1/sessions/refresh']) {
      const answer = await down.send(path, json({}))
      expect(answer.status).toBe(503)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    }
  })
})
