import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { entrance, json, password } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>
let own: string
const friend = 'https://friend.example'

beforeAll(async () => {
  const plain = await entrance()
  door = await entrance({ env: { ...plain.services.env, CORS_ORIGINS: `${friend},https://other.example` } })
  acme = await door.owner()
  own = new URL(door.services.env.PUBLIC_URL).origin
})

/** What the texts of the entrance and of the routes say. */
function namesIn(pattern: RegExp): Set<string> {
  const found = new Set<string>()
  for (const folder of ['http', 'routes']) {
    const dir = fileURLToPath(new URL(`../../src/${folder}/`, import.meta.url))
    for (const file of readdirSync(dir))
      for (const [, ...names] of readFileSync(`${dir}${file}`, 'utf8').matchAll(pattern))
        for (const name of names) if (name !== undefined) found.add(name)
  }
  return found
}

const withCookie = (headers: Record<string, string>) =>
  door.send(
    '/v1/things',
    json({ name: 'thing' }, { cookie: `__Host-access=${acme.accessToken}`, ...headers }),
  )

describe('a change made with the cookie', () => {
  it.each([
    ['our own page says so', { 'sec-fetch-site': 'same-origin' }],
    ['an older browser of our own page', () => ({ origin: own })],
    ['both', () => ({ origin: own, 'sec-fetch-site': 'same-origin' })],
  ])('goes through: %s', async (_, headers) => {
    expect((await withCookie(typeof headers === 'function' ? headers() : headers)).status).toBe(201)
  })

  it.each<[string, () => Record<string, string>]>([
    ['nothing says where from', () => ({})],
    ['another site', () => ({ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })],
    ['a neighbour', () => ({ 'sec-fetch-site': 'same-site' })],
    ['an address typed in', () => ({ 'sec-fetch-site': 'none' })],
    ['another origin', () => ({ origin: 'https://evil.example' })],
    ['no origin at all', () => ({ origin: 'null' })],
    ['a sandbox of our own', () => ({ origin: 'null', 'sec-fetch-site': 'same-origin' })],
    ['another port', () => ({ origin: `${own}0` })],
    ['an origin that begins like ours', () => ({ origin: `${own}.evil.example` })],
    ['the Host header', () => ({ origin: 'https://evil.example', host: 'evil.example' })],
    ['a friend, who must bring a token', () => ({ origin: friend })],
    ['a site that contradicts the origin', () => ({ origin: own, 'sec-fetch-site': 'cross-site' })],
  ])('is refused: %s', async (_, headers) => {
    expect((await withCookie(headers())).status).toBe(403)
  })

  it('is refused for every changing method, and reading is not', async () => {
    const cookie = { cookie: `__Host-access=${acme.accessToken}`, 'sec-fetch-site': 'cross-site' }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect((await door.send('/v1/me', { method, headers: cookie })).status).toBe(403)
    }
    expect((await door.send('/v1/me', { headers: cookie })).status).toBe(200)
  })

  it('cannot be a sign-in or sign-up made by another site, and programs may', async () => {
    const signIn = json({ email: acme.email, password })
    const evil = json({ email: acme.email, password }, { 'sec-fetch-site': 'cross-site' })
    expect((await door.send('/v1/sessions', evil)).status).toBe(403)
    expect((await door.send('/v1/sign-up', evil)).status).toBe(403)
    expect((await door.send('/v1/sessions', signIn)).status).toBe(201)
  })

  it('needs no origin when it carries its own credential', async () => {
    expect((await acme.fetch('/v1/things', json({ name: 'thing' }))).status).toBe(201)
    expect((await acme.fetch('/v1/things', json({ name: 'thing' }, { origin: own }))).status).toBe(201)
  })
})

describe('pages of other sites', () => {
  const preflight = (origin: string) =>
    door.send('/v1/me', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    })

  it('may do what a token lets them, if they are in the list', async () => {
    const answer = await acme.fetch('/v1/me', { headers: { origin: friend } })
    expect(answer.headers.get('access-control-allow-origin')).toBe(friend)
    expect(answer.headers.get('vary')).toContain('Origin')
    expect((await acme.fetch('/v1/things', json({ name: 'thing' }, { origin: friend }))).status).toBe(201)
  })

  it('are told by a preflight how to ask, and nothing of who may', async () => {
    const [friends, evils] = await Promise.all([preflight(friend), preflight('https://evil.example')])
    for (const answer of [friends, evils]) {
      expect(answer.status).toBe(204)
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('access-control-allow-headers')).toMatch(/Authorization/)
      expect(answer.headers.get('access-control-allow-headers')).not.toMatch(/cookie/i)
    }
    expect((await preflight('null')).headers.has('access-control-allow-origin')).toBe(false)
    const elsewhere = await door.send('/jobs/run', {
      method: 'OPTIONS',
      headers: { origin: friend, 'access-control-request-method': 'POST' },
    })
    expect(elsewhere.headers.has('access-control-allow-origin')).toBe(false)
  })

  it('may send every header that the API reads, and read every one that it sends', async () => {
    const read = namesIn(/(?:req\.header\(|headers\.(?:get|has)\()'([a-z-]+)'/g)
    // A page cannot set these, or they are for a server that brings a signature.
    const notOfPages =
      /^(accept|cookie|origin|user-agent|content-length|sec-fetch-|access-control-|x-forwarded-|webhook-|upstash-|transfer-encoding$)/
    const allowed = (await preflight(friend)).headers.get('access-control-allow-headers')?.toLowerCase() ?? ''
    const sent = [...read].filter((name) => !notOfPages.test(name))
    expect(sent).toEqual(
      expect.arrayContaining(['weir-device', 'idempotency-key', 'if-match', 'last-event-id']),
    )
    expect(sent.filter((name) => !allowed.split(', ').includes(name))).toEqual([])

    const written = namesIn(/(?:c\.header\(|headers\.set\()'([A-Za-z-]+)'|^\s*'([A-Z][A-Za-z-]+)': /gm)
    const answer = await acme.fetch('/v1/me', { headers: { origin: friend } })
    const exposed = answer.headers.get('access-control-expose-headers')?.split(', ') ?? []
    // Browsers show these without being told to, act on them themselves, or must not show them.
    const notForPages =
      /^(Cache-Control|Content-(Type|Length|Security-Policy)|Set-Cookie|Vary|Access-Control-|X-(Accel|Content|Frame)|Strict-|Referrer-|Permissions-|Cross-Origin-|Upstash-|Authorization|Accept|User-Agent)/
    const shown = [...written].filter((name) => !notForPages.test(name))
    expect(shown).toEqual(
      expect.arrayContaining(['ETag', 'RateLimit', 'X-Request-Id', 'Content-Disposition']),
    )
    expect(shown.filter((name) => !exposed.includes(name))).toEqual([])
  })

  it.each(['https://evil.example', 'null', 'https://friend.example.evil.example', 'http://friend.example'])(
    'may not otherwise, and nothing is done: %s',
    async (origin) => {
      const before = door.things.effects
      for (const answer of [
        await acme.fetch('/v1/me', { headers: { origin } }),
        await acme.fetch('/v1/things', json({ name: 'thing' }, { origin })),
        await acme.fetch('/v1/things', json({ name: 'thing' }, { origin, 'sec-fetch-site': 'cross-site' })),
      ]) {
        expect(answer.status).toBe(403)
        expect(answer.headers.has('access-control-allow-origin')).toBe(false)
      }
      expect(door.things.effects).toBe(before)
    },
  )

  it('never get to use the cookie', async () => {
    for (const answer of [
      await preflight(friend),
      await acme.fetch('/v1/me', { headers: { origin: friend } }),
      await door.send('/v1/me', { headers: { origin: friend, cookie: `__Host-access=${acme.accessToken}` } }),
    ])
      expect(answer.headers.has('access-control-allow-credentials')).toBe(false)
  })
})
