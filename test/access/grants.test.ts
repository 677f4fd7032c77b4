import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { member, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let owner: pg.Pool
let acme: Tenant
let globex: Tenant
let guest: Person

beforeAll(async () => {
  here = await world()
  owner = new pg.Pool({ connectionString: inject('ownerUrl'), max: 2 })
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
})
beforeEach(async () => {
  guest = await member(here, await client(), acme, 'guest')
})
afterAll(async () => {
  await shared?.end()
  await owner.end()
  await here.close()
})

let shared: pg.Client | undefined
async function client(): Promise<pg.Client> {
  if (!shared) {
    shared = new pg.Client({ connectionString: inject('ownerUrl') })
    await shared.connect()
  }
  return shared
}

let count = 0
const definition = (extra: object[] = []) => ({
  apiVersion: 'weir/v1',
  kind: 'Pipeline',
  name: `p-${crypto.randomUUID().slice(0, 8)}-${count++}`,
  steps: [{ id: 'pause', wait: { for: '1h' } }, ...extra],
})

type Made = { id: string; name: string }
const pipelineOf = async (tenant: Tenant, query = ''): Promise<Made> =>
  json<Made>(await tenant.fetch(`/v1/pipelines${query}`, { method: 'POST', body: definition() }), 201)
const grant = async (
  subject: string,
  resource: string,
  level: string,
  tenant: Tenant = acme,
): Promise<string> =>
  (
    await json<Made>(
      await tenant.fetch('/v1/grants', { method: 'POST', body: { subject, resource, level } }),
      201,
    )
  ).id
const project = async (tenant: Tenant = acme): Promise<string> =>
  (
    await json<Made>(
      await tenant.fetch('/v1/projects', { method: 'POST', body: { name: crypto.randomUUID() } }),
      201,
    )
  ).id
const names = async (answer: Promise<Response>): Promise<string[]> =>
  (await json<{ items: { id: string }[] }>(await answer, 200)).items.map(({ id }) => id).sort()
const status = async (answer: Promise<Response>): Promise<number> => (await answer).status
const startRun = (who: { fetch: Person['fetch'] }, id: string) =>
  who.fetch('/v1/runs', { method: 'POST', body: { pipelineId: id } })

describe('a grant', () => {
  it('shows a guest exactly the rows that were granted', async () => {
    const [one, other] = [await pipelineOf(acme), await pipelineOf(acme)]
    expect(await names(guest.fetch('/v1/pipelines'))).toEqual([])
    expect(await status(guest.fetch(`/v1/pipelines/${one.id}`))).toBe(404)
    const id = await grant(guest.userId, one.id, 'read')
    expect(await names(guest.fetch('/v1/pipelines'))).toEqual([one.id])
    expect(await status(guest.fetch(`/v1/pipelines/${one.id}`))).toBe(200)
    expect(await status(guest.fetch(`/v1/pipelines/${other.id}`))).toBe(404)
    expect(await status(startRun(guest, one.id))).toBe(403)
    expect(await status(startRun(guest, other.id))).toBe(404)
    expect(await status(acme.fetch(`/v1/grants/${id}`, { method: 'DELETE' }))).toBe(204)
    expect(await names(guest.fetch('/v1/pipelines'))).toEqual([])
    expect(await status(guest.fetch(`/v1/pipelines/${one.id}`))).toBe(404)
  })

  it('allows each level and nothing above it, and is over at once', async () => {
    const { id } = await pipelineOf(acme)
    const other = await json<Made>(await startRun(acme, (await pipelineOf(acme)).id), 202)
    const change = () =>
      guest.fetch(`/v1/pipelines/${id}`, { method: 'PUT', headers: { 'If-Match': '*' }, body: definition() })
    const give = () =>
      guest.fetch('/v1/grants', {
        method: 'POST',
        body: { subject: guest.userId, resource: id, level: 'manage' },
      })
    const seen: [string, number, number, number][] = []
    let last = ''
    for (const level of ['read', 'run', 'edit', 'manage']) {
      last = await grant(guest.userId, id, level)
      seen.push([level, (await startRun(guest, id)).status, (await change()).status, (await give()).status])
    }
    expect(seen).toEqual([
      ['read', 403, 403, 403],
      ['run', 202, 403, 403],
      ['edit', 202, 200, 403],
      ['manage', 202, 200, 201],
    ])
    const runs = await names(guest.fetch('/v1/runs'))
    expect(runs).toHaveLength(3)
    for (const run of runs) {
      for (const part of ['', '/events', '/logs', '/quality'])
        expect(await status(guest.fetch(`/v1/runs/${run}${part}`)), part).toBe(200)
    }
    for (const part of ['', '/events', '/logs', '/quality', '/stream'])
      expect(await status(guest.fetch(`/v1/runs/${other.id}${part}`)), part).toBe(404)
    expect(await status(guest.fetch(`/v1/runs/${other.id}/cancel`, { method: 'POST' }))).toBe(404)
    expect(await status(guest.fetch(`/v1/runs/${runs[0] ?? ''}/cancel`, { method: 'POST' }))).toBe(202)
    expect(await status(acme.fetch(`/v1/grants/${last}`, { method: 'DELETE' }))).toBe(204)
    expect(await names(guest.fetch('/v1/runs'))).toEqual([])
    expect(await status(guest.fetch(`/v1/runs/${runs[1] ?? ''}`))).toBe(404)
    expect(await status(startRun(guest, id))).toBe(404)
  })

  it('on a project holds for all that is in it, and lets its editors make things there only', async () => {
    const [inside, elsewhere] = [await project(), await project()]
    const { id } = await pipelineOf(acme, `?project=${inside}`)
    await pipelineOf(acme, `?project=${elsewhere}`)
    const given = await grant(guest.userId, inside, 'edit')
    expect(await names(guest.fetch('/v1/pipelines'))).toEqual([id])
    const make = (query: string, extra: object[] = []) =>
      guest.fetch(`/v1/pipelines${query}`, { method: 'POST', body: definition(extra) })
    expect(await status(make(`?project=${inside}`))).toBe(201)
    expect(await status(make(`?project=${elsewhere}`))).toBe(404)
    expect(await status(make(''))).toBe(403)
    expect(
      await status(
        guest.fetch('/v1/connections', {
          method: 'POST',
          body: { name: 'mine', kind: 'files', projectId: inside },
        }),
      ),
    ).toBe(201)
    const stolen = { name: `c-${crypto.randomUUID().slice(0, 8)}`, kind: 'files' }
    await json(await acme.fetch('/v1/connections', { method: 'POST', body: stolen }), 201)
    const extract = (connection: string) => [
      { id: 'get', extract: { connection, stream: 'a.csv' }, into: 'copied' },
    ]
    const refused = await make(`?project=${inside}`, extract(stolen.name))
    expect(await refused.text()).toContain(`run connection \\"${stolen.name}\\"`)
    expect(refused.status).toBe(403)
    expect(await status(make(`?project=${inside}`, extract('mine')))).toBe(201)
    expect(await status(acme.fetch(`/v1/grants/${given}`, { method: 'DELETE' }))).toBe(204)
    expect(await names(guest.fetch('/v1/pipelines'))).toEqual([])
  })

  it('to a team is its members’, as long as they are', async () => {
    const team = await json<Made>(
      await acme.fetch('/v1/teams', { method: 'POST', body: { name: crypto.randomUUID() } }),
      201,
    )
    const { id } = await pipelineOf(acme)
    await grant(team.id, id, 'read')
    expect(await status(guest.fetch(`/v1/pipelines/${id}`))).toBe(404)
    await owner.query('insert into team_members (tenant_id, team_id, user_id) values ($1, $2, $3)', [
      acme.id,
      team.id,
      guest.userId,
    ])
    expect(await status(guest.fetch(`/v1/pipelines/${id}`))).toBe(200)
    await owner.query('delete from team_members where team_id = $1', [team.id])
    expect(await status(guest.fetch(`/v1/pipelines/${id}`))).toBe(404)
  })

  it('cannot be given on what is another tenant’s, nor to its people', async () => {
    const [mine, theirs] = [await pipelineOf(acme), await pipelineOf(globex)]
    const give = (subject: string, resource: string) =>
      acme.fetch('/v1/grants', { method: 'POST', body: { subject, resource, level: 'read' } })
    expect(await status(give(guest.userId, theirs.id))).toBe(404)
    expect(await status(give(globex.userId, mine.id))).toBe(404)
    expect(await status(give(newId('team'), mine.id))).toBe(404)
    const id = await grant(guest.userId, mine.id, 'read')
    expect(await status(globex.fetch(`/v1/grants/${id}`))).toBe(404)
    expect(await status(globex.fetch(`/v1/grants/${id}`, { method: 'DELETE' }))).toBe(404)
    expect(await names(globex.fetch('/v1/grants'))).toEqual([])
    expect(await names(acme.fetch(`/v1/grants?subject=${guest.userId}&resource=${mine.id}`))).toEqual([id])
    await acme.fetch(`/v1/grants/${id}`, { method: 'DELETE' })
  })
})

describe('who may give grants and roles', () => {
  it('gives nobody more than they have, themselves least of all', async () => {
    const { id } = await pipelineOf(acme)
    const role = await json<Made>(
      await acme.fetch('/v1/roles', {
        method: 'POST',
        body: { name: `giver ${id}`, permissions: ['pipelines:read', 'access:read', 'access:write'] },
      }),
      201,
    )
    await owner.query('update memberships set role = $3 where tenant_id = $1 and user_id = $2', [
      acme.id,
      guest.userId,
      role.id,
    ])
    await acme.fetch(`/v1/members/${guest.userId}`, { method: 'PATCH', body: { role: role.id } })
    const give = (level: string) =>
      guest.fetch('/v1/grants', { method: 'POST', body: { subject: guest.userId, resource: id, level } })
    const make = (permissions: string[]) =>
      guest.fetch('/v1/roles', { method: 'POST', body: { name: crypto.randomUUID(), permissions } })
    expect(await status(make(['pipelines:read']))).toBe(201)
    expect(await status(make(['pipelines:read', 'pipelines:write']))).toBe(403)
    expect(await status(give('edit'))).toBe(403)
    expect(await status(give('manage'))).toBe(403)
    const raise = { permissions: ['access:write', 'tenant:write'] }
    expect(await status(guest.fetch(`/v1/roles/${role.id}`, { method: 'PATCH', body: raise }))).toBe(403)
    expect(await status(guest.fetch('/v1/roles/owner', { method: 'PATCH', body: raise }))).toBe(404)
    expect(await status(acme.fetch(`/v1/roles/${role.id}`, { method: 'DELETE' }))).toBe(409)
    const less = await acme.fetch(`/v1/roles/${role.id}`, { method: 'PATCH', body: { permissions: [] } })
    expect(less.status).toBe(200)
    expect(await status(guest.fetch('/v1/roles'))).toBe(403)
    await acme.fetch(`/v1/members/${guest.userId}`, { method: 'PATCH', body: { role: 'guest' } })
    expect(await status(acme.fetch(`/v1/roles/${role.id}`, { method: 'DELETE' }))).toBe(204)
  })
})

describe('a key that is bound to a project', () => {
  it('sees and makes what is in the project, and nothing else', async () => {
    const inside = await project()
    const [mine, other] = [await pipelineOf(acme, `?project=${inside}`), await pipelineOf(acme)]
    const { key } = await json<{ key: string }>(
      await acme.fetch('/v1/api-keys', {
        method: 'POST',
        body: {
          name: 'bound',
          scopes: [
            'pipelines:read',
            'pipelines:write',
            'runs:read',
            'runs:write',
            'datasets:read',
            'members:read',
          ],
          projectId: inside,
        },
      }),
      201,
    )
    const bound: Person['fetch'] = (path, init = {}) =>
      acme.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } })
    expect(await names(bound('/v1/pipelines'))).toEqual([mine.id])
    expect(await status(bound(`/v1/pipelines/${other.id}`))).toBe(404)
    const made = await json<Made>(await bound('/v1/pipelines', { method: 'POST', body: definition() }), 201)
    expect(await names(bound('/v1/pipelines'))).toEqual([mine.id, made.id].sort())
    expect(await status(startRun({ fetch: bound }, mine.id))).toBe(202)
    expect(await status(startRun({ fetch: bound }, other.id))).toBe(404)
    await json(await startRun(acme, other.id), 202)
    expect(await names(bound('/v1/runs'))).toHaveLength(1)
    for (const path of ['/v1/members', '/v1/grants', '/v1/roles', '/v1/connections', '/v1/api-keys'])
      expect(await status(bound(path)), path).toBe(403)
    expect(await names(bound('/v1/datasets'))).toEqual([])
    expect(await json(await bound('/v1/me/permissions'), 200)).toEqual({
      permissions: [],
      project: { id: inside, permissions: expect.arrayContaining(['datasets:read', 'runs:write']) },
      items: [],
    })
  })
})

describe('what somebody may do', () => {
  it('is told to them, page by page, and why', async () => {
    const inside = await project()
    const { id } = await pipelineOf(acme, `?project=${inside}`)
    const grants = [await grant(guest.userId, id, 'read'), await grant(guest.userId, inside, 'run')]
    const first = await json<{ permissions: string[]; items: object[]; nextCursor: string }>(
      await guest.fetch('/v1/me/permissions?limit=1'),
      200,
    )
    expect(first).toMatchObject({
      permissions: [],
      items: [
        { resource: { kind: 'pipeline', id }, level: 'read', permissions: ['pipelines:read', 'runs:read'] },
      ],
    })
    const second = await json<{ items: object[] }>(
      await guest.fetch(`/v1/me/permissions?limit=1&cursor=${encodeURIComponent(first.nextCursor)}`),
      200,
    )
    expect(second.items).toMatchObject([{ resource: { kind: 'project', id: inside }, level: 'run' }])
    const ask = async (fetch: Person['fetch'], permission: string, who = guest.userId) =>
      json<{ allowed: boolean; words: string; reasons: object[] }>(
        await fetch(`/v1/access/explain?user=${who}&permission=${permission}&resource=${id}`),
        200,
      )
    expect(await ask((path, init) => acme.fetch(path, init), 'runs:write')).toMatchObject({
      allowed: true,
      reasons: [{ by: 'grant', grantId: grants[1], on: 'project', level: 'run' }],
      words: expect.stringContaining(`"run" on project ${inside}`),
    })
    expect(await ask((path, init) => guest.fetch(path, init), 'pipelines:write')).toMatchObject({
      allowed: false,
      reasons: [],
      words: expect.stringContaining('is not enough'),
    })
    expect(await ask((path, init) => acme.fetch(path, init), 'runs:write', acme.userId)).toMatchObject({
      reasons: [{ by: 'role', role: 'owner' }],
    })
    expect(
      await status(
        guest.fetch(`/v1/access/explain?user=${acme.userId}&permission=runs:write&resource=${id}`),
      ),
    ).toBe(403)
    for (const one of grants) await acme.fetch(`/v1/grants/${one}`, { method: 'DELETE' })
  })
})

describe('a closed tenant', () => {
  it('answers 423, but for what undoes it and who may', async () => {
    const shut = await here.tenant()
    const person = await member(here, await client(), shut, 'admin')
    const asOwner: Person['fetch'] = (path, init = {}) =>
      shut.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${shut.accessToken}` } })
    expect(await status(asOwner('/v1/pipelines'))).toBe(200)
    await owner.query('update tenants set suspended_at = now() where tenant_id = $1', [shut.id])
    const { refreshTenantRecord } = await import('#src/actions/tenant-record.ts')
    await refreshTenantRecord(here.services, shut.id)
    for (const answer of [
      asOwner('/v1/pipelines'),
      person.fetch('/v1/pipelines'),
      shut.fetch('/v1/pipelines'),
    ])
      expect(await status(answer)).toBe(423)
    expect(await status(asOwner('/v1/me'))).toBe(200)
    expect(await status(asOwner('/v1/tenant'))).toBe(200)
    expect(await status(person.fetch('/v1/tenant'))).toBe(423)
    expect(await status(person.fetch('/v1/me'))).toBe(200)
    expect(await status(shut.fetch('/v1/me'))).toBe(423)
    await owner.query('update tenants set suspended_at = null where tenant_id = $1', [shut.id])
    await refreshTenantRecord(here.services, shut.id)
    expect(await status(shut.fetch('/v1/pipelines'))).toBe(200)
  })
})
