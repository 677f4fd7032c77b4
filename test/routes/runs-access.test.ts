import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { permissions, type Permission } from '#src/domain/role.ts'
import { as, keyFor, madeUp, problem } from '#test/support/answers.ts'
import { connect, finished, json, pipeline, upload } from '#test/support/pipeline.ts'
import { password, world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let globex: Tenant
const ids: Record<string, string> = {}

beforeAll(async () => {
  here = await world()
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  ids['con'] = await connect(acme, 'files')
  await upload(acme, ids['con'], 'a.csv', 'a\n1\n')
  ids['pip'] = await pipeline(
    acme,
    'triggers: [{ webhook: true }]\nsteps:\n  - { id: one, sql: select 1 as n, into: ones }\n',
  )
  ids['run'] = (await finished(acme, ids['pip'])).id
  const { items } = await json<{ items: { id: string }[] }>(await acme.fetch('/v1/datasets'), 200)
  ids['ds'] = items[0]?.id ?? ''
})
afterAll(() => here.close())

const yaml = { 'Content-Type': 'application/yaml', 'If-Match': '*' }
const source = 'apiVersion: weir/v1\nkind: Pipeline\nname: other\nsteps: [{ id: one, wait: { for: 1s } }]\n'
const change = { headers: { 'If-Match': '*' }, body: {} }

/** Every verb of these resources and what it needs; `:con` stands for the id of one. */
const verbs: [string, string, Permission, { headers?: Record<string, string>; body?: unknown }?][] = [
  ['GET', '/v1/connections', 'connections:read'],
  ['POST', '/v1/connections', 'connections:write', { body: { name: 'x', kind: 'files' } }],
  ['GET', '/v1/connections/:con', 'connections:read'],
  ['PATCH', '/v1/connections/:con', 'connections:write', change],
  ['DELETE', '/v1/connections/:con', 'connections:write'],
  ['POST', '/v1/connections/:con/check', 'connections:read'],
  ['POST', '/v1/connections/:con/reset', 'connections:write'],
  ['GET', '/v1/connections/:con/streams', 'connections:read'],
  ['GET', '/v1/connections/:con/files', 'connections:read'],
  ['POST', '/v1/connections/:con/files', 'connections:write', { body: { name: 'b.csv', bytes: 1 } }],
  ['GET', '/v1/connections/:con/files/a.csv', 'connections:read'],
  ['DELETE', '/v1/connections/:con/files/a.csv', 'connections:write'],
  ['GET', '/v1/datasets', 'datasets:read'],
  ['GET', '/v1/datasets/:ds', 'datasets:read'],
  ['GET', '/v1/datasets/:ds/preview', 'datasets:read'],
  ['GET', '/v1/pipelines', 'pipelines:read'],
  ['POST', '/v1/pipelines', 'pipelines:write', { headers: yaml, body: source }],
  ['POST', '/v1/pipelines/check', 'pipelines:read', { headers: yaml, body: source }],
  ['GET', '/v1/pipelines/:pip', 'pipelines:read'],
  ['PUT', '/v1/pipelines/:pip', 'pipelines:write', { headers: yaml, body: source }],
  ['DELETE', '/v1/pipelines/:pip', 'pipelines:write'],
  ['GET', '/v1/pipelines/:pip/versions', 'pipelines:read'],
  ['POST', '/v1/pipelines/:pip/pause', 'runs:write'],
  ['POST', '/v1/pipelines/:pip/resume', 'runs:write'],
  ['GET', '/v1/pipelines/:pip/backfills', 'runs:read'],
  [
    'POST',
    '/v1/pipelines/:pip/backfills',
    'runs:write',
    { body: { from: '2026-01-01', to: '2026-01-02', by: 'day' } },
  ],
  ['GET', '/v1/pipelines/:pip/webhook', 'pipelines:read'],
  ['POST', '/v1/pipelines/:pip/webhook', 'pipelines:write'],
  ['GET', '/v1/runs', 'runs:read'],
  ['POST', '/v1/runs', 'runs:write', { body: { pipelineId: ':pip' } }],
  ['GET', '/v1/runs/:run', 'runs:read'],
  ['GET', '/v1/runs/:run/quality', 'runs:read'],
  ['GET', '/v1/runs/:run/events', 'runs:read'],
  ['GET', '/v1/runs/:run/logs', 'runs:read'],
  ['POST', '/v1/runs/:run/cancel', 'runs:write'],
  ['PATCH', '/v1/runs/:run', 'runs:write', { body: { priority: 1 } }],
  ['POST', '/v1/runs/:run/rerun', 'runs:write', { body: { from: 'all' } }],
  ['POST', '/v1/runs/:run/mark', 'runs:write', { body: { as: 'failed', reason: 'x' } }],
  ['POST', '/v1/runs/:run/steps/:step/approve', 'runs:write', { body: {} }],
  ['POST', '/v1/runs/:run/steps/:step/reject', 'runs:write', { body: {} }],
  ['POST', '/v1/runs/:run/steps/:step/mark', 'runs:write', { body: { as: 'failed', reason: 'x' } }],
]
const withIds = (text: string, of = (id: string) => id) =>
  text.replace(/:(con|ds|pip|run)\b/, (_, kind: string) => of(ids[kind] ?? ''))
const filled = (body: unknown, of?: (id: string) => string): unknown =>
  typeof body === 'string' ? body : (JSON.parse(withIds(JSON.stringify(body), of)) as unknown)
const initOf = (
  method: string,
  init: { headers?: Record<string, string>; body?: unknown } = {},
  of?: (id: string) => string,
) => ({
  method,
  headers: init.headers ?? {},
  ...(init.body === undefined ? {} : { body: filled(init.body, of) }),
})

describe('every verb of connections, datasets, pipelines and runs', () => {
  it('is in the table of this test', () => {
    const real = here.app.routes.filter(
      ({ method, path }) => method !== 'ALL' && /^\/v1\/(connections|datasets|pipelines|runs)\b/.test(path),
    )
    const named = new Set(real.map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/g, ':')}`))
    const listed = new Set(
      verbs.map(([method, path]) => `${method} ${path.replaceAll(/:\w+/g, ':').replace('a.csv', ':')}`),
    )
    expect([...named].toSorted()).toEqual([...listed].toSorted())
  })

  it('needs its permission and no other', async () => {
    const keys = new Map<Permission, Awaited<ReturnType<typeof keyFor>>>()
    for (const permission of new Set(verbs.map(([, , needed]) => needed))) {
      keys.set(
        permission,
        await keyFor(
          acme,
          permissions.filter((one) => one !== permission),
        ),
      )
    }
    for (const [method, path, needed, init] of verbs) {
      const refused = await keys.get(needed)?.(withIds(path), initOf(method, init))
      if (!refused) throw new Error('no key')
      const { detail } = await problem(refused, 403)
      expect([method, path, detail]).toEqual([method, path, `This needs the permission ${needed}.`])
    }
    for (const [method, path, needed, init] of verbs.filter(([verb]) => verb === 'GET')) {
      const only = await keyFor(acme, [needed])
      expect([path, (await only(withIds(path), initOf(method, init))).status]).toEqual([path, 200])
    }
  })

  it("does not find another tenant's thing, in the words for a made-up one", async () => {
    for (const [method, path, , init] of verbs) {
      if (!/:(con|ds|pip|run)\b/.test(path + JSON.stringify(init?.body ?? ''))) continue
      const theirs = await problem(await globex.fetch(withIds(path), initOf(method, init)), 404)
      const nobodys = await problem(
        await globex.fetch(withIds(path, madeUp), initOf(method, init, madeUp)),
        404,
      )
      const own = await problem(await acme.fetch(withIds(path, madeUp), initOf(method, init, madeUp)), 404)
      expect([method, path, theirs.detail]).toEqual([method, path, nobodys.detail])
      expect(own.detail).toBe(theirs.detail)
    }
    for (const path of ['connections/:con', 'datasets/:ds', 'pipelines/:pip', 'runs/:run']) {
      expect((await acme.fetch(`/v1/${withIds(path)}`)).status).toBe(200)
    }
  })

  it('is refused without a credential', async () => {
    for (const [method, path, , init] of verbs) {
      const { headers, body } = initOf(method, init)
      const request = {
        method,
        headers,
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }
      const refused = await here.app.request(withIds(path), request, { address: crypto.randomUUID() })
      expect((await problem(refused, 401)).code).toBe('unauthenticated')
    }
  })

  it('is named by a 405 on its path when another is tried', async () => {
    for (const path of new Set(verbs.map(([, one]) => one))) {
      const allowed = new Set(verbs.filter(([, one]) => one === path).map(([method]) => method))
      if (path === '/v1/pipelines/check') for (const method of ['GET', 'PUT', 'DELETE']) allowed.add(method)
      if (allowed.has('GET')) allowed.add('HEAD')
      const [wrong] = ['PUT', 'PATCH', 'DELETE', 'POST'].filter((method) => !allowed.has(method))
      const answer = await acme.fetch(withIds(path), { method: wrong ?? '', body: {} })
      await problem(answer, 405)
      expect([path, answer.headers.get('allow')?.split(', ').toSorted()]).toEqual([
        path,
        [...allowed].toSorted(),
      ])
    }
  })
})

describe('a role', () => {
  it.each([
    ['viewer', { 'POST /v1/runs': 403, 'POST /v1/connections': 403, 'POST /v1/pipelines': 403 }],
    ['operator', { 'POST /v1/runs': 202, 'POST /v1/connections': 403, 'POST /v1/pipelines': 403 }],
    ['developer', { 'POST /v1/runs': 202, 'POST /v1/connections': 201, 'POST /v1/pipelines': 201 }],
  ])('%s reads everything and does what it may', async (role, wanted) => {
    const owner = new pg.Client({ connectionString: inject('ownerUrl') })
    await owner.connect()
    await owner.query('update memberships set role = $1 where user_id = $2', [role, acme.userId])
    await owner.end()
    const signedIn = await here.app.request(
      '/v1/sessions',
      {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email: acme.email, password }),
      },
      { address: crypto.randomUUID() },
    )
    const person = as(acme, (await json<{ accessToken: string }>(signedIn, 201)).accessToken)
    for (const [method, path] of verbs.filter(([verb]) => verb === 'GET')) {
      expect([path, (await person(withIds(path), { method })).status]).toEqual([path, 200])
    }
    const statuses: Record<string, number> = {}
    for (const [method, path, , init] of verbs.filter(([verb, path]) => `${verb} ${path}` in wanted)) {
      statuses[`${method} ${path}`] = (await person(withIds(path), initOf(method, init))).status
    }
    expect(statuses).toEqual(wanted)
  })
})
