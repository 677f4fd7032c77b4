import type pg from 'pg'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { newId, type ProjectId } from '#src/domain/id.ts'
import { client } from '#test/support/own-stack.ts'
import { connect, end, json, pipeline, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let owner: pg.Client
let acme: Tenant
const [mine, theirs] = [newId('project'), newId('project')]

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = await client(inject('ownerUrl'))
  for (const id of [mine, theirs]) {
    await owner.query(`insert into projects (tenant_id, id, name, created_by) values ($1, $2, $2, 'test')`, [
      acme.id,
      id,
    ])
  }
  // One of everything in each project, and one in none.
  for (const project of [mine, theirs, null]) {
    const dataset = `d${crypto.randomUUID().slice(0, 8)}`
    const made = await pipeline(acme, `steps: [{ id: one, sql: "select 1 as n", into: ${dataset} }]\n`)
    await end(acme, await start(acme, made))
    const connection = await connect(acme, 'files', dataset)
    const set = (table: string, column: string, value: string) =>
      owner.query(`update ${table} set project_id = $1 where tenant_id = $2 and ${column} = $3`, [
        project,
        acme.id,
        value,
      ])
    await set('pipelines', 'id', made)
    await set('connections', 'id', connection)
    await set('datasets', 'name', dataset)
    const failing = await pipeline(
      acme,
      `steps: [{ id: one, sql: "select 1 / 0 as n", into: ${dataset} }]\nretry: { attempts: 1 }\n`,
    )
    await set('pipelines', 'id', failing)
    expect((await end(acme, await start(acme, failing))).state).toBe('failed')
  }
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

const keyOf = async (projectId: ProjectId | undefined, scopes: readonly string[]) => {
  const made = await acme.fetch('/v1/api-keys', {
    method: 'POST',
    body: { name: 'bound', scopes, ...(projectId ? { projectId } : {}) },
  })
  const { key } = await json<{ key: string }>(made, 201)
  return (path: string, init: { method?: string; body?: unknown } = {}) =>
    acme.fetch(path, { ...init, headers: { Authorization: `Bearer ${key}` } })
}
const reading = ['projects:read', 'connections:read', 'datasets:read', 'pipelines:read', 'runs:read']
const itemsOf = async (answer: Response) => (await json<{ items: { id: string }[] }>(answer, 200)).items

it.each([
  ['/v1/projects', 1, 2],
  ['/v1/pipelines', 2, 6],
  ['/v1/connections', 1, 3],
  ['/v1/datasets', 1, 3],
  ['/v1/runs', 2, 6],
  ['/v1/dead-letters', 1, 3],
  ['/v1/alerts', 1, 3],
])('%s shows a key of one project %i of what all see as %i', async (path, some, all) => {
  const [bound, free] = [await keyOf(mine, reading), await keyOf(undefined, reading)]
  const seen = await itemsOf(await bound(path))
  const everything = await itemsOf(await free(path))
  expect([seen.length, everything.length]).toEqual([some, all])
  for (const { id } of everything.filter((one) => !seen.some((other) => other.id === one.id))) {
    if (path === '/v1/alerts') continue
    expect([path, (await bound(`${path}/${id}`)).status]).toEqual([path, 404])
  }
})

it('lets a key of one project have a say there and nowhere else', async () => {
  const bound = await keyOf(mine, [
    'runs:write',
    'runs:read',
    'pipelines:read',
    'api-keys:write',
    'usage:read',
    'tenant:write',
  ])
  const { rows } = await owner.query<{ id: string; project_id: string | null }>(
    'select id, project_id from pipelines where tenant_id = $1 order by id',
    [acme.id],
  )
  for (const { id, project_id: project } of rows) {
    const started = await bound('/v1/runs', { method: 'POST', body: { pipelineId: id } })
    expect([project, started.status]).toEqual([project, project === mine ? 202 : 404])
  }
  const refused = [
    bound('/v1/api-keys', { method: 'POST', body: { name: 'x', scopes: ['runs:read'] } }),
    bound('/v1/service-accounts', { method: 'POST', body: { name: 'x', role: 'viewer' } }),
    bound('/v1/usage'),
    bound('/v1/members'),
  ]
  expect((await Promise.all(refused)).map(({ status }) => status)).toEqual([403, 403, 403, 403])
})

it('is ended by whoever finds it, and its owners are told by mail', async () => {
  const made = await acme.fetch('/v1/api-keys', {
    method: 'POST',
    body: { name: 'lost', scopes: ['runs:read'] },
  })
  const { key } = await json<{ key: string }>(made, 201)
  const found = new Request(`${here.url}/v1/api-keys/revoke`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ key }),
  })
  expect((await here.app.fetch(found, { address: crypto.randomUUID() })).status).toBe(202)
  const mail = await until('the owner has the mail', async () =>
    (await here.mails(acme.email)).find(({ subject }) => subject === 'An API key was found and revoked'),
  )
  expect(mail.text).toContain('"lost"')
  expect(mail.text).not.toContain(key)
})

it('is bound only to a project that there is', async () => {
  const other = await here.tenant()
  for (const tenant of [acme, other]) {
    const projectId = tenant === acme ? newId('project') : mine
    const body = { name: 'x', scopes: ['runs:read'], projectId }
    expect((await tenant.fetch('/v1/api-keys', { method: 'POST', body })).status).toBe(404)
  }
})
