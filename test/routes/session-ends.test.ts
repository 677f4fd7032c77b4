import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { rotateSession } from '#src/db/sessions.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { defaultLimits } from '#src/domain/limit.ts'
import { newRefreshToken } from '#src/domain/refresh-token.ts'
import { pipeline, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { password, world, type Tenant, type World } from '#test/support/world.ts'

const plenty = { ...defaultLimits.address, limit: 10_000 }
let here: World
let owner: pg.Client
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  here = await world((services) => ({
    ...services,
    limits: {
      ...services.limits,
      address: plenty,
      user: plenty,
      signInAddress: plenty,
      signInAccount: plenty,
    },
  }))
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

type Tokens = { accessToken: string; refreshToken: string }
type Listed = {
  id: Id<'session'>
  current: boolean
  tenant: { id: string; name: string }
  amr: string[]
  userAgent?: string
  address?: string
  firstUsedAt: string
  lastUsedAt: string
  expiresAt: string
}
const call = (path: string, credential: string, init: RequestInit = {}) =>
  fetch(`${here.url}${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${credential}`, ...(init.headers as Record<string, string>) },
  })
const send = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${here.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
const signIn = async (email: string, more: object = {}, headers: Record<string, string> = {}) => {
  const answer = await send('/v1/sessions', { email, password, ...more }, headers)
  if (answer.status !== 201)
    throw new Error(`a sign-in was answered ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as Tokens & { tenants: { id: string }[]; tenant: { id: string } }
}
const renew = (refreshToken: string) => send('/v1/sessions/refresh', { refreshToken })
const status = async (session: { accessToken: string }) => (await call('/v1/me', session.accessToken)).status
const list = async (session: { accessToken: string }) => {
  const { items } = (await (await call('/v1/sessions', session.accessToken)).json()) as { items: Listed[] }
  return items
}
const end = async (id: string, session: { accessToken: string }) =>
  (await call(`/v1/sessions/${id}`, session.accessToken, { method: 'DELETE' })).status
const join = (tenant: Tenant, person: Tenant, role: string) =>
  owner.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, $3)`, [
    tenant.id,
    person.userId,
    role,
  ])

describe('sessions', () => {
  it('are listed with the device, the way of signing in and when they were used', async () => {
    const tenant = await here.tenant()
    const phone = await signIn(tenant.email, {}, { 'User-Agent': `Phone ${'x'.repeat(1000)}` })
    const before = await list(phone)
    expect(before).toHaveLength(2)
    const [mine] = before
    expect(mine).toMatchObject({
      current: true,
      amr: ['pwd'],
      tenant: { id: tenant.id },
      address: expect.any(String),
    })
    expect(mine?.userAgent).toHaveLength(300)
    expect(before.filter(({ current }) => current)).toHaveLength(1)
    const renewed = (await (await renew(phone.refreshToken)).json()) as Tokens
    const after = (await list(renewed)).find(({ current }) => current)
    expect(after?.firstUsedAt).toBe(mine?.firstUsedAt)
    expect(Date.parse(after?.lastUsedAt ?? '')).toBeGreaterThan(Date.parse(mine?.lastUsedAt ?? ''))
    expect(after?.amr).toEqual(['pwd'])
    const days = (Date.parse(after?.expiresAt ?? '') - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(6.9)
    expect(days).toBeLessThanOrEqual(7)
  })

  it('are ended one by one, or all others; their tokens are worth nothing at once', async () => {
    const tenant = await here.tenant()
    const [one, two, three] = [
      await signIn(tenant.email),
      await signIn(tenant.email),
      await signIn(tenant.email),
    ]
    const other = (await list(two)).find(({ current }) => current)
    expect(await end(other?.id ?? '', one)).toBe(204)
    expect([await status(one), await status(two), await status(three)]).toEqual([200, 401, 200])
    expect((await renew(two.refreshToken)).status).toBe(401)
    expect(await end(other?.id ?? '', one)).toBe(404)
    expect((await call('/v1/sessions', one.accessToken, { method: 'DELETE' })).status).toBe(204)
    expect([await status(one), await status(three), await status(tenant)]).toEqual([200, 401, 401])
    expect(await list(one)).toHaveLength(1)
  })

  it('of another person are none, and a key has none', async () => {
    const theirs = (await list(globex))[0]
    expect(await end(theirs?.id ?? '', acme)).toBe(404)
    expect(await end(newId('session'), acme)).toBe(404)
    expect(await status(globex)).toBe(200)
    for (const method of ['GET', 'DELETE'])
      expect((await acme.fetch('/v1/sessions', { method })).status).toBe(403)
    expect((await acme.fetch(`/v1/sessions/${theirs?.id ?? ''}`, { method: 'DELETE' })).status).toBe(403)
  })

  it('of a member are ended by who may write members, in that tenant alone', async () => {
    const [person, boss] = await Promise.all([here.tenant(), here.tenant()])
    await join(boss, person, 'viewer')
    const [own, there] = [await signIn(person.email), await signIn(person.email, { tenantId: boss.id })]
    expect(own.tenants.map(({ id }) => id)).toEqual([person.id, boss.id])
    const endOf = (userId: string, credential: string) =>
      call(`/v1/members/${userId}/end-sessions`, credential, { method: 'POST' })
    expect((await endOf(boss.userId, there.accessToken)).status).toBe(403)
    expect((await endOf(person.userId, acme.accessToken)).status).toBe(404)
    expect((await endOf(person.userId, boss.accessToken)).status).toBe(204)
    expect([await status(own), await status(there), await status(boss)]).toEqual([200, 401, 200])
    expect((await renew(there.refreshToken)).status).toBe(401)
    expect((await renew(own.refreshToken)).status).toBe(200)
  })

  it('of a person in several tenants are all theirs to see and to end', async () => {
    const [person, boss] = await Promise.all([here.tenant(), here.tenant()])
    await join(boss, person, 'developer')
    const there = await signIn(person.email, { tenantId: boss.id })
    const all = await list(person)
    expect(new Set(all.map(({ tenant }) => tenant.id))).toEqual(new Set([person.id, boss.id]))
    const far = all.find(({ tenant }) => tenant.id === boss.id)
    expect(await end(far?.id ?? '', person)).toBe(204)
    expect([await status(there), await status(person)]).toEqual([401, 200])
    expect(await list(boss)).toHaveLength(1)
  })

  it('are not opened with a password where the tenant wants its own sign-in', async () => {
    const [person, boss] = await Promise.all([here.tenant(), here.tenant()])
    await join(boss, person, 'developer')
    await owner.query('update tenants set require_sso = true where tenant_id = $1', [boss.id])
    const refused = await send('/v1/sessions', { email: person.email, password, tenantId: boss.id })
    expect(refused.status).toBe(403)
    expect((await signIn(person.email)).tenant.id).toBe(person.id)
    await owner.query('update tenants set require_sso = true where tenant_id = $1', [person.id])
    expect((await send('/v1/sessions', { email: person.email, password })).status).toBe(403)
  })
})

/** Moves everything that is kept of a family back by so long: the same as a clock that goes forward. */
const age = (refreshToken: string, by: string) =>
  sha256(refreshToken).then((hash) =>
    owner.query(
      `update sessions set created_at = created_at - $2::interval, began_at = began_at - $2::interval, expires_at = expires_at - $2::interval
       where (tenant_id, family_id) = (select tenant_id, family_id from sessions where token_hash = $1)`,
      [hash, by],
    ),
  )

describe('a session that time has passed over', () => {
  it('lasts seven days without being used, and not a moment longer', async () => {
    const [kept, lost] = [await signIn(acme.email), await signIn(acme.email)]
    await age(kept.refreshToken, '6 days 23 hours 59 minutes')
    await age(lost.refreshToken, '7 days')
    expect((await renew(lost.refreshToken)).status).toBe(401)
    expect((await renew(kept.refreshToken)).status).toBe(200)
  })

  it('lasts thirty days however often it is used', async () => {
    let { refreshToken } = await signIn(acme.email)
    for (let i = 0; i < 5; i++) {
      await age(refreshToken, '5 days 23 hours')
      const answer = await renew(refreshToken)
      expect(answer.status).toBe(200)
      refreshToken = ((await answer.json()) as Tokens).refreshToken
    }
    await age(refreshToken, '6 hours')
    expect((await renew(refreshToken)).status).toBe(401)
  })

  it("lasts as long as its tenant says, and no other's", async () => {
    const [strict, other] = await Promise.all([here.tenant(), here.tenant()])
    await owner.query(
      `update tenants set settings = settings || '{"sessionIdleMs": 3600000}' where tenant_id = $1`,
      [strict.id],
    )
    for (const each of [strict, other]) await age(each.refreshToken, '61 minutes')
    expect(await list(strict)).toEqual([])
    expect((await renew(strict.refreshToken)).status).toBe(401)
    expect((await renew(other.refreshToken)).status).toBe(200)
  })

  it('does not come back by a token that was exchanged long ago', async () => {
    const first = await signIn(acme.email)
    const second = (await (await renew(first.refreshToken)).json()) as Tokens
    await age(second.refreshToken, '6 days')
    expect((await renew(first.refreshToken)).status).toBe(401)
    expect((await renew(second.refreshToken)).status).toBe(401)
  })
})

describe('races', () => {
  it('of an exchange with the end of the session: no token survives', async () => {
    for (let round = 0; round < 12; round++) {
      const session = await signIn(acme.email)
      const [renewed] = await Promise.all([
        renew(session.refreshToken),
        call('/v1/sessions/current', session.accessToken, { method: 'DELETE' }),
      ])
      const born = renewed.ok ? ((await renewed.json()) as Tokens) : undefined
      if (born) {
        expect(await status(born)).toBe(401)
        expect((await renew(born.refreshToken)).status).toBe(401)
      }
      const { rows } = await owner.query<{ n: string }>(
        `select count(*) as n from sessions where rotated_at is null and revoked_at is null
           and (tenant_id, family_id) = (select tenant_id, family_id from sessions where token_hash = $1)`,
        [await sha256(session.refreshToken)],
      )
      expect(Number(rows[0]?.n)).toBe(0)
    }
  })

  it('of two exchanges have one winner, whose token ends with the family', async () => {
    const { database } = here.services
    for (let round = 0; round < 10; round++) {
      const { refreshToken } = await signIn(acme.email)
      const hash = await sha256(refreshToken)
      const exchange = async () =>
        rotateSession(database, hash, {
          sessionId: newId('session'),
          tokenHash: await sha256(newRefreshToken()),
          client: {},
        })
      const found = await Promise.all([exchange(), exchange(), exchange()])
      expect(new Set(found.map((one) => one?.outcome))).toEqual(new Set(['reused', 'rotated']))
      expect(found.filter((one) => one?.outcome === 'rotated')).toHaveLength(1)
      const { rows } = await owner.query<{ live: string }>(
        `select count(*) filter (where revoked_at is null and rotated_at is null) as live from sessions
         where (tenant_id, family_id) = (select tenant_id, family_id from sessions where token_hash = $1)`,
        [hash],
      )
      expect(Number(rows[0]?.live)).toBe(0)
    }
  })

  it('of the exchanges of a hundred sessions are none: each has its next token', async () => {
    const { database } = here.services
    const people = await Promise.all([here.tenant(), here.tenant()])
    const tokens: string[] = []
    for (const person of people) {
      const hashes = await Promise.all(Array.from({ length: 50 }, () => sha256(newRefreshToken())))
      await owner.query(
        `insert into sessions (tenant_id, id, user_id, family_id, token_hash, expires_at)
         select $1, 'ses_' || hash, $2, 'ses_' || hash, hash, now() + interval '1 hour' from unnest($3::text[]) hash`,
        [person.id, person.userId, hashes],
      )
      tokens.push(...hashes)
    }
    const found = await Promise.all(
      tokens.map(async (hash) =>
        rotateSession(database, hash, {
          sessionId: newId('session'),
          tokenHash: await sha256(newRefreshToken()),
          client: {},
        }),
      ),
    )
    expect(found.map((one) => one?.outcome)).toEqual(tokens.map(() => 'rotated'))
    const owners = found.map((one) => one?.tenantId)
    expect(owners).toEqual(tokens.map((_, i) => people[Math.floor(i / 50)]?.id))
  })
})

describe('an open stream of events', () => {
  const waiting = 'steps:\n  - { id: long, wait: { for: 1h } }\n'
  /** Reads until the server ends it; the milliseconds that took. */
  async function untilEnded(credential: string, runId: string, act: () => Promise<unknown>): Promise<number> {
    const answer = await call(`/v1/runs/${runId}/events`, credential)
    expect(answer.status).toBe(200)
    const reader = answer.body?.getReader()
    await reader?.read()
    await act()
    const startedMs = Date.now()
    while (!(await reader?.read())?.done);
    return Date.now() - startedMs
  }

  it('ends within seconds when the session, the key, the role or the membership does', async () => {
    const [boss, person] = await Promise.all([here.tenant(), here.tenant()])
    await join(boss, person, 'developer')
    const runId = await start(boss, await pipeline(boss, waiting))
    const sessions = await Promise.all([1, 2, 3].map(() => signIn(person.email, { tenantId: boss.id })))
    const [out, changed, gone] = sessions
    if (!out || !changed || !gone) throw new Error('three sessions')
    const made = await call('/v1/api-keys', boss.accessToken, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'watch', scopes: ['runs:read'] }),
    })
    const key = (await made.json()) as { id: string; key: string }
    let quiet = false
    const watched = call(`/v1/runs/${runId}/events`, boss.accessToken).then(async (answer) => {
      const reader = answer.body?.getReader()
      await until('the others have ended', async () => quiet)
      await reader?.cancel()
    })
    const ended = await Promise.all([
      untilEnded(out.accessToken, runId, () =>
        call('/v1/sessions/current', out.accessToken, { method: 'DELETE' }),
      ),
      untilEnded(key.key, runId, () =>
        call(`/v1/api-keys/${key.id}`, boss.accessToken, { method: 'DELETE' }),
      ),
    ])
    const role = await untilEnded(changed.accessToken, runId, () =>
      owner.query(`update memberships set role = 'viewer' where tenant_id = $1 and user_id = $2`, [
        boss.id,
        person.userId,
      ]),
    )
    const fresh = await signIn(person.email, { tenantId: boss.id })
    const left = await untilEnded(fresh.accessToken, runId, () =>
      owner.query(`delete from memberships where tenant_id = $1 and user_id = $2`, [boss.id, person.userId]),
    )
    quiet = true
    await watched
    for (const ms of [...ended, role, left]) expect(ms).toBeLessThan(8_000)
  }, 60_000)
})

describe('a password hash of older parameters', () => {
  it('is made anew at the next sign-in, and opens as before', async () => {
    const old = '$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI'
    const tenant = await here.tenant()
    await owner.query('update users set password_hash = $2 where id = $1', [tenant.userId, old])
    const stored = async () =>
      (
        await owner.query<{ password_hash: string }>('select password_hash from users where id = $1', [
          tenant.userId,
        ])
      ).rows[0]?.password_hash ?? ''
    const enter = (shown: string) => send('/v1/sessions', { email: tenant.email, password: shown })
    expect((await enter('not it')).status).toBe(401)
    expect(await stored()).toBe(old)
    const answer = await enter('pleaseletmein')
    const { ln, r, p } = here.services.passwordCost
    expect(answer.status).toBe(201)
    expect(await stored()).toMatch(new RegExp(`^\\$scrypt\\$ln=${ln},r=${r},p=${p}\\$`))
    expect((await enter('pleaseletmein')).status).toBe(201)
  })
})
