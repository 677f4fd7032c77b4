import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { refreshTenantRecord } from '#src/actions/tenant-record.ts'
import type { Explanation } from '#src/domain/explain.ts'
import { levels } from '#src/domain/access.ts'
import { newId } from '#src/domain/id.ts'
import { etagOf } from '#src/http/etag.ts'
import { permissions, roles, type Permission } from '#src/domain/role.ts'
import { member, type Person } from '#test/support/member.ts'
import { client } from '#test/support/own-stack.ts'
import { connect, json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

type Fetch = Tenant['fetch']
type Named = { id: string; name: string }

let here: World
let owner: pg.Client
let acme: Tenant
let person: Person
let team: string
/** A pipeline, a connection, a dataset and their project; the first three also of no project. */
const things: Record<'project' | 'pipeline' | 'connection' | 'dataset', string[]> = {
  project: [],
  pipeline: [],
  connection: [],
  dataset: [],
}
const ownRole = newId('role')

beforeAll(async () => {
  owner = await client(inject('ownerUrl'))
  here = await world((services) => {
    const { limits } = services
    const often = { limit: 100_000 }
    return {
      ...services,
      limits: { ...limits, user: { ...limits.user, ...often }, apiKey: { ...limits.apiKey, ...often } },
    }
  })
  acme = await here.tenant()
  person = await member(here, owner, acme, 'guest')
  const made = async (path: string, body: unknown) =>
    (await json<Named>(await acme.fetch(path, { method: 'POST', body }), 201)).id
  team = await made('/v1/teams', { name: 'Team' })
  await json2(acme.fetch(`/v1/teams/${team}/members/${person.userId}`, { method: 'PUT' }), 204)
  for (const name of ['inside', 'outside']) {
    const project = await made('/v1/projects', { name })
    const dataset = newId('dataset')
    await owner.query('insert into datasets (tenant_id, id, name) values ($1, $2, $3)', [
      acme.id,
      dataset,
      name,
    ])
    things.project.push(project)
    things.pipeline.push(await pipeline(acme, 'steps: [{ id: pause, wait: { for: 1h } }]'))
    things.connection.push(await connect(acme, 'files', `files-${name}`))
    things.dataset.push(dataset)
  }
  for (const table of ['pipeline', 'connection', 'dataset'] as const)
    await owner.query(`update ${table}s set project_id = $3 where tenant_id = $1 and id = $2`, [
      acme.id,
      things[table][0],
      things.project[0],
    ])
})
afterAll(async () => {
  await here.close()
  await owner.end()
})

async function json2(answer: Promise<Response>, status: number): Promise<void> {
  expect((await answer).status).toBe(status)
}

/** What the permission is for, on this thing, in a way that changes nothing: who may is told that it does not fit. */
const asked: [
  Permission,
  keyof typeof things | undefined,
  (fetch: Fetch, id: string) => Promise<Response>,
][] = [
  ['projects:read', 'project', (fetch, id) => fetch(`/v1/projects/${id}`)],
  ['pipelines:read', 'pipeline', (fetch, id) => fetch(`/v1/pipelines/${id}`)],
  [
    'pipelines:write',
    'pipeline',
    (fetch, id) => fetch(`/v1/pipelines/${id}`, { method: 'DELETE', headers: { 'If-Match': etagOf(9_999) } }),
  ],
  [
    'runs:write',
    'pipeline',
    (fetch, id) => fetch('/v1/runs', { method: 'POST', body: { pipelineId: id, parameters: { none: 1 } } }),
  ],
  ['connections:read', 'connection', (fetch, id) => fetch(`/v1/connections/${id}`)],
  [
    'connections:write',
    'connection',
    (fetch, id) =>
      fetch(`/v1/connections/${id}`, { method: 'DELETE', headers: { 'If-Match': etagOf(9_999) } }),
  ],
  ['datasets:read', 'dataset', (fetch, id) => fetch(`/v1/datasets/${id}`)],
  ['tenant:read', undefined, (fetch) => fetch('/v1/tenant')],
  ['members:read', undefined, (fetch) => fetch('/v1/members')],
  ['access:read', undefined, (fetch) => fetch('/v1/roles')],
  ['audit:read', undefined, (fetch) => fetch('/v1/audit?limit=1')],
  ['usage:read', undefined, (fetch) => fetch('/v1/usage')],
]

const isLetIn = (status: number): boolean => ![401, 402, 403, 404, 423].includes(status)

async function explained(query: string): Promise<Explanation> {
  return json<Explanation>(await acme.fetch(`/v1/access/explain?${query}`), 200)
}

/** Compares what is explained of somebody with what happens to their requests; gives how often they are let in. */
async function compare(of: string, fetch: Fetch, which: readonly number[]): Promise<number> {
  let letIn = 0
  await Promise.all(
    which.map(async (n) => {
      const [permission, kind, ask] = asked[n % asked.length] ?? []
      if (!permission || !ask) return
      const id = kind === undefined ? '' : (things[kind][n % 2] ?? '')
      const found = await explained(`${of}&permission=${permission}${id === '' ? '' : `&resource=${id}`}`)
      const answer = await ask(fetch, id)
      expect(found.allowed, `${answer.status} to ${permission} ${kind ?? ''} ${n % 2}: ${found.words}`).toBe(
        isLetIn(answer.status),
      )
      expect(found.reasons.length > 0 || found.missing.length > 0).toBe(true)
      expect(found.missing.length === 0).toBe(found.allowed)
      if (found.allowed) letIn++
    }),
  )
  return letIn
}

const someGrants = fc.array(
  fc.record({
    kind: fc.constantFrom('project', 'pipeline', 'connection', 'dataset'),
    which: fc.nat(1),
    level: fc.constantFrom(...levels),
    byTeam: fc.boolean(),
  }),
  { maxLength: 4 },
)
const aRole = fc.oneof(fc.constantFrom(...roles), fc.subarray([...permissions]))
/** Whom nothing is kept from is let in by each, so that some always are, whatever else is drawn. */
const everyQuestion = asked.map((_, n) => n)
const questions = fc.uniqueArray(fc.nat(asked.length * 2 - 1), { minLength: 8, maxLength: 8 })

/** Gives the person this role and these grants, and nothing else. */
async function give(
  role: string | readonly string[],
  grants: { kind: string; which: number; level: string; byTeam: boolean }[],
) {
  const named = typeof role === 'string' ? role : ownRole
  await owner.query(
    `insert into roles (tenant_id, id, name, permissions, created_by) values ($1, $2, 'own', $3, 'x')
     on conflict (tenant_id, id) do update set permissions = excluded.permissions`,
    [acme.id, ownRole, typeof role === 'string' ? [] : role],
  )
  await owner.query('update memberships set role = $3 where tenant_id = $1 and user_id = $2', [
    acme.id,
    person.userId,
    named,
  ])
  await owner.query('delete from grants where tenant_id = $1', [acme.id])
  for (const { kind, which, level, byTeam } of grants)
    await owner.query(
      `insert into grants (tenant_id, id, ${byTeam ? 'team_id' : 'user_id'}, ${kind}_id, level, created_by)
       values ($1, $2, $3, $4, $5, 'x') on conflict do nothing`,
      [acme.id, newId('grant'), byTeam ? team : person.userId, things[kind as 'project'][which], level],
    )
  const { markMember } = await import('#src/actions/members.ts')
  await markMember(here.services, acme.id, person.userId, named as 'guest')
  await refreshTenantRecord(here.services, acme.id)
}

/** A key with a hash of its own, as its owner would have made it. */
async function keyOf(
  of: { user?: string; account?: string },
  scopes: readonly string[],
  project: string | null,
) {
  const { newApiKey, apiKeyHint } = await import('#src/domain/api-key.ts')
  const { sha256 } = await import('#src/domain/digest.ts')
  const [key, id] = [newApiKey(), newId('apiKey')]
  await owner.query(
    `insert into api_keys (tenant_id, id, name, key_hash, hint, scopes, user_id, service_account_id, project_id, created_by)
     values ($1, $2, 'k', $3, $4, $5, $6, $7, $8, 'x')`,
    [acme.id, id, await sha256(key), apiKeyHint(key), scopes, of.user ?? null, of.account ?? null, project],
  )
  const fetch: Fetch = (path, init = {}) =>
    acme.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } })
  return { id, fetch }
}

describe('what is explained is what happens', () => {
  it('to a person, whatever the role and the grants', async () => {
    let letIn = 0
    await fc.assert(
      fc.asyncProperty(aRole, someGrants, questions, async (role, grants, which) => {
        await give(role, grants)
        letIn += await compare(`user=${person.userId}`, (path, init) => person.fetch(path, init), which)
      }),
      { numRuns: 8, endOnFailure: true, examples: [['owner', [], everyQuestion]] },
    )
    expect(letIn).toBeGreaterThanOrEqual(everyQuestion.length)
  })

  it('to a key, whosever it is, whatever its scopes and its project', async () => {
    let letIn = 0
    const someScopes = fc.oneof(fc.constant(permissions), fc.subarray([...permissions]))
    const accountRole = fc.constantFrom('admin', 'developer', 'viewer', 'operator')
    const aKey = fc.tuple(someScopes, fc.option(fc.nat(1)), fc.option(accountRole))
    await fc.assert(
      fc.asyncProperty(
        aRole,
        someGrants,
        aKey,
        questions,
        async (role, grants, [scopes, bound, account], which) => {
          await give(role, grants)
          const project = bound === null ? null : (things.project[bound] ?? null)
          let of: { user?: string; account?: string } = { user: person.userId }
          if (account !== null) {
            const id = newId('serviceAccount')
            await owner.query(
              `insert into service_accounts (tenant_id, id, name, role, created_by) values ($1, $2, $2, $3, 'x')`,
              [acme.id, id, account],
            )
            of = { account: id }
          }
          const key = await keyOf(of, scopes, project)
          letIn += await compare(`key=${key.id}`, key.fetch, which)
        },
      ),
      {
        numRuns: 9,
        endOnFailure: true,
        examples: [['owner', [], [permissions, null, null], everyQuestion]],
      },
    )
    expect(letIn).toBeGreaterThanOrEqual(everyQuestion.length)
  })

  it('in a tenant that is suspended, or whose requests are used up, to who can still ask', async () => {
    await give('guest', [])
    const key = await keyOf({ user: acme.userId }, permissions, null)
    const asOwner: Fetch = (path, init = {}) =>
      acme.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${acme.accessToken}` } })
    const looks = [
      ['user', acme.userId, asOwner],
      ['key', key.id, key.fetch],
    ] as const
    const check = async (by: string) => {
      for (const [what, id, fetch] of looks)
        for (const [permission, kind, ask] of asked) {
          const thing = kind === undefined ? '' : (things[kind][0] ?? '')
          const query = `${what}=${id}&permission=${permission}${thing === '' ? '' : `&resource=${thing}`}`
          const found = await json<Explanation>(await asOwner(`/v1/access/explain?${query}`), 200)
          const { status } = await ask(fetch, thing)
          expect(found.allowed, `${by} ${what} ${permission}: ${status}; ${found.words}`).toBe(
            isLetIn(status),
          )
          expect(found.limits.map((one) => one.by)).toContain(by)
        }
    }
    await owner.query('update tenants set suspended_at = now() where tenant_id = $1', [acme.id])
    await refreshTenantRecord(here.services, acme.id)
    await check('suspension')
    await owner.query(
      `update tenants set suspended_at = null, quotas = '{"requests": 0}', over_quota = '{requests}' where tenant_id = $1`,
      [acme.id],
    )
    await refreshTenantRecord(here.services, acme.id)
    await check('quota')
    await owner.query(`update tenants set quotas = '{}', over_quota = '{}' where tenant_id = $1`, [acme.id])
    await refreshTenantRecord(here.services, acme.id)
    expect((await asOwner('/v1/pipelines')).status).toBe(200)
  })
})

describe('who may ask', () => {
  it('of themselves and of their own keys everybody, of others who may see who may do what', async () => {
    await give('viewer', [])
    const [mine, theirs] = [
      await keyOf({ user: person.userId }, ['runs:read'], null),
      await keyOf({ user: acme.userId }, ['runs:read'], null),
    ]
    const ask = async (query: string) =>
      (await person.fetch(`/v1/access/explain?${query}&permission=runs:read`)).status
    expect(await ask(`user=${person.userId}`)).toBe(200)
    expect(await ask(`key=${mine.id}`)).toBe(200)
    expect(await ask(`user=${acme.userId}`)).toBe(403)
    expect(await ask(`key=${theirs.id}`)).toBe(404)
    expect(await ask('')).toBe(400)
    expect(await ask(`user=${person.userId}&key=${mine.id}`)).toBe(400)
    expect(await ask(`user=${person.userId}&address=nowhere`)).toBe(400)
    const globex = await here.tenant()
    expect((await globex.fetch(`/v1/access/explain?key=${mine.id}&permission=runs:read`)).status).toBe(404)
    expect((await globex.fetch(`/v1/access/explain?user=${person.userId}&permission=runs:read`)).status).toBe(
      404,
    )
  })
})
