import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { permissionsOfRole } from '#src/domain/role.ts'
import { as } from '#test/support/answers.ts'
import { member, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import { standing } from '#test/support/standing.ts'
import type { Init } from '#test/support/tenant.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { entries } from './walk/entries.ts'
import { asker } from './walk/ask.ts'
import { makeThings, type Things } from './walk/things.ts'

const hidden = 'hunter2-correct-horse'
let here: World
let owner: pg.Client
let acme: Tenant
let globex: Tenant
let things: Things
let theirs: Things
let viewer: Person
let key: string

type Fetch = (path: string, init?: Init) => Promise<Response>
/** The same attacker, signed in and with a key of their own. */
let faces: [name: string, ask: Fetch][]

beforeAll(async () => {
  here = await world((services) => {
    const { user, apiKey } = services.limits
    const many = { limit: 100_000 }
    return {
      ...services,
      limits: { ...services.limits, user: { ...user, ...many }, apiKey: { ...apiKey, ...many } },
    }
  })
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  things = await makeThings(acme, owner)
  theirs = await makeThings(globex, owner)
  const warehouse = await acme.fetch('/v1/connections', {
    method: 'POST',
    body: {
      name: 'warehouse',
      kind: 'postgres',
      config: { host: 'db.acme.com', database: 'd', user: 'u' },
      secret: { password: hidden },
    },
  })
  await json(warehouse, 201)
  viewer = await member(here, owner, acme, 'viewer')
  const made = await viewer.fetch('/v1/me/api-keys', {
    method: 'POST',
    body: { name: 'mine', scopes: permissionsOfRole('viewer') },
  })
  ;({ key } = await json<{ key: string }>(made, 201))
  faces = [
    ['session', as(acme, viewer.accessToken)],
    ['key', as(acme, key)],
  ]
}, 60_000)
afterAll(async () => {
  await owner.end()
  await here.close()
})

async function findsNothing(answer: Response): Promise<boolean> {
  if (answer.status === 404) return true
  return answer.status === 200 && (await answer.text()) === '{"items":[]}'
}

describe('somebody with a viewer’s session and key', () => {
  it('gets a 403 of every route that asks for more, and changes nothing with any', async () => {
    const may: readonly string[] = permissionsOfRole('viewer')
    const beyond = entries.filter(({ needs }) => !['anybody', 'member', 'person', ...may].includes(needs))
    expect(beyond.length).toBeGreaterThan(70)
    const before = await standing(owner, acme.id)
    const { pathOf, initOf } = asker(things)
    const wrong: string[] = []
    for (const [face, ask] of faces)
      for (const entry of beyond) {
        const answer = await ask(pathOf(entry), initOf(entry))
        // Everybody may look for grants that they could change, and finds those alone.
        if (entry.path.startsWith('/v1/grants') && (await findsNothing(answer))) continue
        if (answer.status !== 403) wrong.push(`${face}: ${entry.method} ${entry.path} ${answer.status}`)
      }
    expect(wrong).toEqual([])
    expect(await standing(owner, acme.id)).toEqual(before)
  })

  it('reads what a viewer reads, and no secret in any of it', async () => {
    const { pathOf, initOf } = asker(things)
    const may: readonly string[] = ['member', ...permissionsOfRole('viewer')]
    const secret = new RegExp(`${hidden}|whsec_|"(password|secret|sealed|hash|clientSecret)":"`, 'i')
    for (const [face, ask] of faces)
      for (const entry of entries.filter(({ method, needs }) => method === 'GET' && may.includes(needs))) {
        const answer = await ask(pathOf(entry), initOf(entry))
        expect([face, entry.path, answer.status]).toEqual([face, entry.path, entry.lone])
        expect(await answer.text()).not.toMatch(secret)
      }
  })

  it('finds no second way to a path that is closed', async () => {
    const paths = [
      '/v1//api-keys',
      '/v1/api-keys/',
      '/V1/api-keys',
      '/v1/API-KEYS',
      '/v1/%61pi-keys',
      '/v1/api%2dkeys',
      '/v1/me/../api-keys',
      '/v1/health/../api-keys',
      '/v1/health/%2e%2e/api-keys',
      '/v1/health%2f..%2fapi-keys',
      '/v1/sessions/..;/api-keys',
      '/v1/api-keys;x=1',
      '/v1/api-keys%00',
      '/v1/api-keys%20',
      '/v1/api-keys.json',
      '/v1/api-keys?limit=1#/v1/health',
      '//v1/api-keys',
      '/assets/../v1/api-keys',
    ]
    for (const [, ask] of faces)
      for (const path of paths) expect([path, (await ask(path)).status]).not.toEqual([path, 200])
  })

  it('gets no further with another method, or one in a header', async () => {
    const path = '/v1/api-keys'
    for (const [, ask] of faces) {
      expect((await ask(path, { method: 'HEAD' })).status).toBe(403)
      for (const header of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Original-URL'])
        expect(
          (await ask('/v1/me', { headers: { [header]: header.endsWith('URL') ? path : 'DELETE' } })).status,
        ).toBe(200)
      for (const header of ['X-User-Id', 'X-Tenant-Id', 'X-Role', 'X-Forwarded-User'])
        expect((await ask(path, { headers: { [header]: acme.userId } })).status).toBe(403)
      expect((await ask(`${path}?role=owner`)).status).not.toBe(200)
    }
  })

  it('cannot make itself more than it is', async () => {
    const own = (scopes: string[]) =>
      viewer.fetch('/v1/me/api-keys', { method: 'POST', body: { name: 'more', scopes } })
    const before = await standing(owner, acme.id)
    expect((await own(['runs:read', 'members:write'])).status).toBe(403)
    expect((await own(['*'])).status).toBe(422)
    for (const [, ask] of faces) {
      const role = { method: 'PATCH', body: { role: 'owner' } }
      expect((await ask(`/v1/members/${viewer.userId}`, role)).status).toBe(403)
      expect((await ask('/v1/me', role)).status).toBe(405)
      expect(
        (await ask('/v1/tenant/transfer', { method: 'POST', body: { userId: viewer.userId } })).status,
      ).toBe(403)
    }
    expect(await standing(owner, acme.id)).toEqual(before)
    const [head = '', payload = '', mac = ''] = viewer.accessToken.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    for (const forged of [
      { ...claims, role: 'owner' },
      { ...claims, tid: globex.id },
      { ...claims, sub: acme.userId },
    ]) {
      const token = `${head}.${Buffer.from(JSON.stringify(forged)).toString('base64url')}.${mac}`
      expect((await as(acme, token)('/v1/me')).status).toBe(401)
    }
  })

  it('gets only refusals for what looks like SQL, paths and templates', async () => {
    const hostile = [
      "' or 1=1 --",
      "'; drop table users; --",
      '../../etc/passwd',
      '${7*7}',
      '{{7*7}}',
      '%00',
      '\u0000',
      '😀'.repeat(50),
      'x'.repeat(3_000),
      '-1',
      'null',
      '__proto__',
      'constructor',
    ]
    const fields = ['cursor', 'limit', 'state', 'pipelineId', 'kind', 'search', 'after', 'step']
    for (const [, ask] of faces)
      for (const text of hostile) {
        const one = encodeURIComponent(text)
        for (const path of [
          ...fields.map((field) => `/v1/runs?${field}=${one}`),
          `/v1/runs/${things['run'] ?? ''}/logs?search=${one}`,
          `/v1/runs/${one}`,
          `/v1/connections/${things['connection'] ?? ''}/files/${one}`,
          `/v1/datasets/${one}/preview`,
        ]) {
          const { status } = await ask(path)
          expect([path.slice(0, 90), status >= 500]).toEqual([path.slice(0, 90), false])
        }
      }
  })

  it('sees nothing of another tenant’s through filters, lists or guesses', async () => {
    for (const [, ask] of faces) {
      for (const path of [
        `/v1/runs?pipelineId=${theirs['pipeline'] ?? ''}`,
        `/v1/alerts?runId=${theirs['run'] ?? ''}`,
        `/v1/dead-letters?pipelineId=${theirs['pipeline'] ?? ''}`,
      ])
        expect(await json<{ items: unknown[] }>(await ask(path), 200)).toMatchObject({ items: [] })
      const { pathOf, initOf } = asker(theirs)
      const may: readonly string[] = permissionsOfRole('viewer')
      for (const entry of entries.filter(({ path, needs }) => may.includes(needs) && path.includes('/:id'))) {
        const text = await (await ask(pathOf(entry), initOf(entry))).text()
        expect(text).not.toMatch(/"(config|definition|columns|steps)":/)
      }
    }
  })

  it('cannot take over what others began: their answers, sessions and keys', async () => {
    const headers = { 'Idempotency-Key': 'the-owner-s' }
    const body = { name: 'by-the-owner', scopes: ['runs:read'] }
    const owners = as(acme, acme.accessToken)
    const made = await json<{ key: string }>(
      await owners('/v1/api-keys', { method: 'POST', headers, body }),
      201,
    )
    for (const [, ask] of faces) {
      const again = await ask('/v1/api-keys', { method: 'POST', headers, body })
      expect(again.status).toBe(403)
      expect(await again.text()).not.toContain(made.key)
    }
    expect((await viewer.fetch(`/v1/sessions/${things['session'] ?? ''}`, { method: 'DELETE' })).status).toBe(
      404,
    )
    expect(
      (await viewer.fetch(`/v1/me/api-keys/${things['apiKey'] ?? ''}`, { method: 'DELETE' })).status,
    ).toBe(404)
    expect((await owners('/v1/me')).status).toBe(200)
  })
})

describe('a guest who was given one pipeline to read', () => {
  let guest: Fetch
  const may = ['GET /v1/pipelines/:id', 'GET /v1/pipelines/:id/versions', 'GET /v1/pipelines/:id/webhook']

  beforeAll(async () => {
    const person = await member(here, owner, acme, 'guest')
    guest = as(acme, person.accessToken)
    const given = await as(acme, acme.accessToken)('/v1/grants', {
      method: 'POST',
      body: { subject: person.userId, resource: things['pipeline'], level: 'read' },
    })
    await json(given, 201)
  })

  it('reads it and its runs, changes nothing, and gets no more of anything else than its absence', async () => {
    const { pathOf, initOf } = asker(things)
    const before = await standing(owner, acme.id)
    const reached: string[] = []
    for (const entry of entries.filter(({ needs }) => !['anybody', 'member', 'person'].includes(needs))) {
      const answer = await guest(pathOf(entry), initOf(entry))
      const name = `${entry.method} ${entry.path}`
      const text = await answer.text()
      if (answer.ok && !(entry.method === 'GET' && text.startsWith('{"items":[]'))) reached.push(name)
      else expect([name, [200, 403, 404].includes(answer.status)]).toEqual([name, true])
    }
    expect(await standing(owner, acme.id)).toEqual(before)
    for (const one of may) expect(reached).toContain(one)
    const isOfPipelineOrRuns = /^GET \/v1\/(pipelines|runs|backfills|schedules|alerts|dead-letters)(\/|$)/
    expect(reached.filter((one) => !isOfPipelineOrRuns.test(one))).toEqual([])
  })

  it('sees in lists only what was given', async () => {
    const other = await acme.fetch('/v1/pipelines', {
      method: 'POST',
      headers: { 'Content-Type': 'application/yaml' },
      body: 'apiVersion: weir/v1\nkind: Pipeline\nname: not-given\nsteps: [{ id: one, wait: { for: 1s } }]\n',
    })
    const { id } = await json<{ id: string }>(other, 201)
    const { items } = await json<{ items: { id: string }[] }>(await guest('/v1/pipelines'), 200)
    expect(items.map((one) => one.id)).toEqual([things['pipeline']])
    expect((await guest(`/v1/pipelines/${id}`)).status).not.toBe(200)
    for (const kind of ['connections', 'datasets'])
      expect(await (await guest(`/v1/${kind}`)).text()).not.toContain(things[kind.slice(0, -1)] ?? '')
  })
})
