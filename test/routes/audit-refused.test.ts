import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { audited, type Audited } from '#test/support/audited.ts'
import { member, type Person } from '#test/support/member.ts'
import { mortal, type Life } from '#test/support/mortal.ts'
import { connect, json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let owner: pg.Client
let acme: Tenant
const life: Life = { calls: Infinity }
const logged: Record<string, unknown>[] = []

beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  here = await world((services) =>
    mortal({ ...services, log: (line: Record<string, unknown>) => void logged.push(line) }, life),
  )
  acme = await here.tenant()
})
beforeEach(() => {
  life.calls = Infinity
})
afterAll(async () => {
  await here.close()
  await owner.end()
})

/** The refusals that an answer left behind, looked at when the answer is there and no later. */
async function leaves(answer: Promise<Response>, status: number): Promise<Audited[]> {
  const { status: found, headers } = await answer
  expect(found).toBe(status)
  const entries = await audited(owner, headers.get('x-request-id'))
  return entries.filter(({ action }) => action.endsWith('.refused'))
}

const givePlan = (tenant: Tenant, quotas: Record<string, number>) =>
  owner.query('update tenants set quotas = $2 where tenant_id = $1', [tenant.id, JSON.stringify(quotas)])
const waiting = 'steps: [{ id: pause, wait: { for: 1h } }]'
const post = (who: { fetch: Person['fetch'] }, path: string, body: unknown) =>
  who.fetch(path, { method: 'POST', body })

describe('what the Worker refuses', () => {
  let viewer: Person
  beforeAll(async () => {
    viewer = await member(here, owner, acme, 'viewer')
  })

  it('is in the log when the answer is there', async () => {
    expect(await leaves(viewer.fetch('/v1/members'), 403)).toMatchObject([
      {
        action: 'access.refused',
        actor: viewer.userId,
        credential: expect.stringMatching(/^ses_/),
        details: { method: 'GET', path: '/v1/members', status: 403 },
      },
    ])
  })

  it('is refused all the same when the log does not answer, and that is told', async () => {
    await viewer.fetch('/v1/members')
    life.calls = 0
    const answer = await viewer.fetch('/v1/members')
    expect(answer.status).toBe(403)
    expect(logged).toContainEqual(
      expect.objectContaining({ event: 'deferred_failure', requestId: answer.headers.get('x-request-id') }),
    )
  })

  it('says of a key from where it was shown, when it may not be used from there', async () => {
    const { id, key } = await json<{ id: string; key: string }>(
      await post(acme, '/v1/api-keys', {
        name: 'from there',
        scopes: ['runs:read'],
        ipAllow: ['203.0.113.0/24'],
      }),
      201,
    )
    const request = new Request(new URL('/v1/runs', here.url), {
      headers: { Authorization: `Bearer ${key}` },
    })
    const answer = Promise.resolve(here.app.fetch(request, { address: '198.51.100.7' }))
    expect(await leaves(answer, 403)).toMatchObject([
      {
        action: 'access.refused',
        actor: id,
        address: '198.51.100.7',
        credential: id,
        details: { reason: 'address', path: '/v1/runs' },
      },
    ])
  })

  it('is no entry where nothing was refused: what is not there, and what is wrong in itself', async () => {
    expect(await leaves(acme.fetch(`/v1/pipelines/pip_${'0'.repeat(26)}`), 404)).toEqual([])
    expect(await leaves(post(acme, '/v1/projects', { nme: 'x' }), 422)).toEqual([])
  })
})

describe('what the database refuses', () => {
  it('by an exception is in the log when the answer is there, hidden things too', async () => {
    const guest = await member(here, owner, acme, 'guest')
    const [seen, hidden] = [await pipeline(acme, waiting), await pipeline(acme, waiting)]
    const grant = { subject: guest.userId, resource: seen, level: 'read' }
    await json(await post(acme, '/v1/grants', grant), 201)
    const run = (id: string) => post(guest, '/v1/runs', { pipelineId: id })
    expect(await leaves(run(seen), 403)).toMatchObject([
      { action: 'access.refused', actor: guest.userId, details: { path: '/v1/runs', status: 403 } },
    ])
    expect(await leaves(run(hidden), 404)).toMatchObject([
      { action: 'access.refused', actor: guest.userId, details: { path: '/v1/runs', status: 404 } },
    ])
    const path = `/v1/pipelines/${hidden}`
    expect(await leaves(guest.fetch(path), 404)).toMatchObject([
      { details: { method: 'GET', path, status: 404 } },
    ])
    // To the log a made-up thing is what a hidden one is, as it is to the caller.
    expect(await leaves(guest.fetch(`/v1/pipelines/pip_${'0'.repeat(26)}`), 404)).toHaveLength(1)
  })

  const byItsAnswer: [string, string, number, object, (of: Tenant) => Promise<Response>][] = [
    [
      'an owner made by somebody who is none',
      'access.refused',
      403,
      { target_kind: 'member', details: { reason: 'owners_only' } },
      async (tenant) => {
        const { userId } = await member(here, owner, tenant, 'viewer')
        return tenant.fetch(`/v1/members/${userId}`, { method: 'PATCH', body: { role: 'owner' } })
      },
    ],
    [
      'an invitation of somebody whose own address is not proved',
      'access.refused',
      403,
      { target_kind: 'invitation', details: { reason: 'unverified' } },
      (tenant) =>
        tenant.fetch('/v1/invitations', {
          method: 'POST',
          headers: { Authorization: `Bearer ${tenant.accessToken}` },
          body: { email: 'new@example.com', role: 'viewer' },
        }),
    ],
    [
      'an upload without room',
      'quota.refused',
      402,
      { target_kind: 'file', details: { quota: 'storageBytes', bytes: 60, used: 0, limit: 50 } },
      async (tenant) => {
        await givePlan(tenant, { storageBytes: 50 })
        const connection = await connect(tenant, 'files')
        return post(tenant, `/v1/connections/${connection}/files`, { name: 'a.csv', bytes: 60 })
      },
    ],
    [
      'a run beyond the plan',
      'quota.refused',
      402,
      { target_kind: 'pipeline', details: { quota: 'runs', used: 0, limit: 0 } },
      async (tenant) => {
        await givePlan(tenant, { runs: 0 })
        const id = await pipeline(tenant, waiting)
        return post(tenant, '/v1/runs', { pipelineId: id })
      },
    ],
  ]

  it.each(byItsAnswer)(
    '%s is noted by the call that refuses, once',
    async (_, action, status, entry, ask) => {
      const tenant = await here.tenant()
      expect(await leaves(ask(tenant), status)).toEqual([
        expect.objectContaining({ action, ...anyOf(entry) }),
      ])
    },
  )

  /** Details may say more than is asked for here. */
  const anyOf = (entry: object) =>
    Object.fromEntries(
      Object.entries(entry).map(([name, value]: [string, unknown]) => [
        name,
        typeof value === 'object' ? expect.objectContaining(value as object) : (value as unknown),
      ]),
    )

  it('by its answer needs no further call to be noted: a process that dies then has noted it', async () => {
    const { userId } = await member(here, owner, acme, 'viewer')
    const ask = () => acme.fetch(`/v1/members/${userId}`, { method: 'PATCH', body: { role: 'owner' } })
    await ask()
    for (let calls = 0; ; calls++) {
      expect(calls).toBeLessThan(10)
      life.calls = calls
      const answer = await ask()
      if (answer.status !== 403) continue
      expect(await leaves(Promise.resolve(answer), 403)).toMatchObject([
        { details: { reason: 'owners_only' } },
      ])
      expect(life.calls).toBe(0)
      break
    }
  })

  it('before anything is done is told too: a plan that has no room for another member', async () => {
    const tenant = await here.tenant()
    await owner.query('update users set email_verified_at = now() where id = $1', [tenant.userId])
    await givePlan(tenant, { members: 1 })
    const answer = tenant.fetch('/v1/invitations', {
      method: 'POST',
      headers: { Authorization: `Bearer ${tenant.accessToken}` },
      body: { email: 'new@example.com', role: 'viewer' },
    })
    expect(await leaves(answer, 402)).toMatchObject([
      { action: 'quota.refused', details: { quota: 'members', used: 1, limit: 1, path: '/v1/invitations' } },
    ])
  })
})

describe('what the limits refuse', () => {
  it('is no entry: refusing costs the database nothing', async () => {
    const tenant = await here.tenant()
    await owner.query(`update tenants set request_limits = '{"apiKey": 1}' where tenant_id = $1`, [tenant.id])
    const { refreshTenantRecord } = await import('#src/actions/tenant-record.ts')
    await refreshTenantRecord(here.services, tenant.id)
    let last = await tenant.fetch('/v1/runs')
    for (let i = 0; i < 4 && last.status !== 429; i++) last = await tenant.fetch('/v1/runs')
    expect(await leaves(Promise.resolve(last), 429)).toEqual([])
  })
})
