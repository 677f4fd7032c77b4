import { describe, expect, it } from 'vitest'
import { addUp } from '#src/actions/metering.ts'
import { countRequest } from '#src/cache/requests.ts'
import { deliverNotice } from '#src/engine/notices.ts'
import { endpoint } from '#test/support/endpoint.ts'
import { client } from '#test/support/own-stack.ts'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'
import { connect, end, json, pipeline, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const database = await fileDatabase()
const { owner } = database
const here = await fileWorldOn(database)
const acme = await here.tenant()

type Group = { key: string; name?: string; amounts: Record<string, number>; cost: string }
type UsageBody = {
  plan: string
  groups: Group[]
  totals: { amounts: Record<string, number>; cost: string }
  quotas: { name: string; used: number; limit?: number; left?: number; state: string; resetsAt?: string }[]
}

const usageOf = async (tenant: Tenant, query = ''): Promise<UsageBody> =>
  json<UsageBody>(await tenant.fetch(`/v1/usage${query}`), 200)
const quotaOf = async (tenant: Tenant, name: string) =>
  (await usageOf(tenant)).quotas.find((quota) => quota.name === name)
const allow = (tenant: Tenant, quotas: Record<string, number>) =>
  owner.query('update tenants set quotas = $2 where tenant_id = $1', [tenant.id, JSON.stringify(quotas)])

const threeRows = (tags = '') =>
  `${tags}steps: [{ id: one, sql: "select * from (values (1), (2), (3)) as v(n)", into: d${crypto.randomUUID().slice(0, 8)} }]\n`

describe('GET /v1/usage', () => {
  it('shows what was used by day, pipeline and tag, what it costs and what is left', async () => {
    await allow(acme, { runs: 10, storageBytes: 10_000_000 })
    const blue = await pipeline(acme, threeRows('tags: { team: blue, env: prod }\n'))
    const plain = await pipeline(acme, threeRows())
    for (const id of [blue, blue, plain])
      expect((await end(acme, await start(acme, id))).state).toBe('succeeded')
    const before = await usageOf(acme, '?by=pipeline')
    await addUp(here.services)
    const byPipeline = await usageOf(acme, '?by=pipeline')
    expect(byPipeline.totals.amounts).toMatchObject({ runs: 3, rows: 9 })
    expect(before.totals.amounts).toMatchObject({ runs: 3, rows: 9 })
    const ofBlue = byPipeline.groups.find(({ key }) => key === blue)
    expect(ofBlue).toMatchObject({ amounts: { runs: 2, rows: 6 } })
    expect(ofBlue?.name).toMatch(/^p-/)
    expect(Number(ofBlue?.cost)).toBeGreaterThan(0)
    const byTag = await usageOf(acme, '?by=tag')
    const runsOf = (usage: UsageBody) =>
      usage.groups.flatMap(({ key, amounts }) => (amounts['runs'] ? [[key, amounts['runs']]] : []))
    expect(runsOf(byTag)).toEqual([
      ['', 1],
      ['env=prod', 2],
      ['team=blue', 2],
    ])
    expect(runsOf(await usageOf(acme, '?by=tag&tag=team'))).toEqual([
      ['', 1],
      ['blue', 2],
    ])
    const today = new Date().toISOString().slice(0, 10)
    expect(runsOf(await usageOf(acme, `?by=day&from=${today}&to=${today}`))).toEqual([[today, 3]])
    expect(runsOf(await usageOf(acme, '?from=2020-01-01&to=2020-01-31'))).toEqual([])
    expect(await quotaOf(acme, 'runs')).toMatchObject({ used: 3, limit: 10, left: 7, state: 'ok' })
    const stored = await quotaOf(acme, 'storageBytes')
    expect(stored?.used).toBeGreaterThan(3 * 8192 - 1)
    expect(stored?.resetsAt).toBeUndefined()
    expect(byPipeline.totals.amounts['storageByteDays']).toBe(stored?.used)
  })

  it('is a table where a table is wanted, and no formula for a spreadsheet', async () => {
    const tenant = await here.tenant()
    await end(tenant, await start(tenant, await pipeline(tenant, threeRows('tags: { team: "=1+1,x" }\n'))))
    const answer = await tenant.fetch('/v1/usage?by=tag&tag=team', { headers: { Accept: 'text/csv' } })
    expect(answer.headers.get('content-type')).toContain('text/csv')
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="usage-.*-by-tag\.csv"$/)
    const lines = (await answer.text()).split('\r\n')
    expect(lines[0]).toBe('tag,name,requests,runs,refusedRuns,rows,computeMs,storageByteDays,costUsd')
    expect(lines.some((line) => line.startsWith(`"'=1+1,x",,0,1,0,3,`))).toBe(true)
  })

  it.each([
    '?by=week',
    '?from=yesterday',
    '?from=2026-02-02&to=2026-02-01',
    '?from=2020-01-01&to=2026-01-01',
  ])('refuses %s', async (query) => {
    expect((await acme.fetch(`/v1/usage${query}`)).status).toBe(400)
  })

  it('needs usage:read, and shows a tenant nothing of another', async () => {
    const other = await here.tenant()
    expect((await usageOf(other)).totals.amounts['runs']).toBeUndefined()
    const made = await json<{ key: string }>(
      await acme.fetch('/v1/api-keys', { method: 'POST', body: { name: 'x', scopes: ['runs:read'] } }),
      201,
    )
    const refused = await acme.fetch('/v1/usage', { headers: { Authorization: `Bearer ${made.key}` } })
    expect(refused.status).toBe(403)
  })
})

describe('a quota that is used up', () => {
  it('is named with a 402 when a run is to start, by hand or again, and does no harm to what has begun', async () => {
    const tenant = await here.tenant()
    const id = await pipeline(tenant, threeRows())
    const run = await start(tenant, id)
    await end(tenant, run)
    await allow(tenant, { runs: 1 })
    const refused = await tenant.fetch('/v1/runs', { method: 'POST', body: { pipelineId: id } })
    expect(refused.status).toBe(402)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    const problem = (await refused.json()) as { code: string; detail: string; quota: Record<string, unknown> }
    expect(problem).toMatchObject({ code: 'quota_exceeded', quota: { name: 'runs', used: 1, limit: 1 } })
    expect(problem.detail).toMatch(
      /^The plan allows 1 runs a month \(quota: runs\); 1 are used\. It begins anew at /,
    )
    expect(Date.parse(String(problem.quota['resetsAt']))).toBeGreaterThan(Date.now())
    const again = await tenant.fetch(`/v1/runs/${run}/rerun`, { method: 'POST', body: { from: 'all' } })
    expect(again.status).toBe(402)
    await until('the quota is noted as used up', async () => {
      const { rows } = await owner.query('select over_quota from tenants where tenant_id = $1', [tenant.id])
      return rows[0]?.over_quota?.includes('runs') === true
    })
    expect((await usageOf(tenant)).totals.amounts).toMatchObject({ runs: 1, refusedRuns: 2 })
    expect(await quotaOf(tenant, 'runs')).toMatchObject({ state: 'used_up', left: 0 })
  })

  it('refuses an upload that has no room, until something is deleted', async () => {
    const tenant = await here.tenant()
    const connection = await connect(tenant, 'files')
    await allow(tenant, { storageBytes: 100 })
    await upload(tenant, connection, 'a.csv', 'x'.repeat(60))
    const ask = (name: string, bytes: number) =>
      tenant.fetch(`/v1/connections/${connection}/files`, { method: 'POST', body: { name, bytes } })
    const refused = await ask('b.csv', 60)
    expect([refused.status, await refused.json()]).toMatchObject([
      402,
      { quota: { name: 'storageBytes', used: 60, limit: 100 } },
    ])
    expect((await ask('a.csv', 90)).status).toBe(201)
    // The longer one was promised and never came: the tick finds the first one there.
    await owner.query(
      `update stored_files set promised_at = now() - interval '1 hour' where tenant_id = $1`,
      [tenant.id],
    )
    await addUp(here.services)
    expect((await quotaOf(tenant, 'storageBytes'))?.used).toBe(60)
    expect(
      (await tenant.fetch(`/v1/connections/${connection}/files/a.csv`, { method: 'DELETE' })).status,
    ).toBe(204)
    expect((await ask('b.csv', 60)).status).toBe(201)
    await owner.query(
      `update stored_files set promised_at = now() - interval '1 hour' where tenant_id = $1`,
      [tenant.id],
    )
    await addUp(here.services)
    expect((await quotaOf(tenant, 'storageBytes'))?.used).toBe(0)
  })
})

describe('a quota of which much is used', () => {
  it('is among the alerts of who may see the whole tenant, and reaches the channel that hears of failures', async () => {
    const [tenant, there] = [await here.tenant(), await endpoint()]
    there.on('/ops', () => new Response(null, { status: 204 }))
    const channel = { name: 'ops', kind: 'webhook', config: { url: `${there.url}/ops` } }
    expect((await tenant.fetch('/v1/channels', { method: 'POST', body: channel })).status).toBe(201)
    const id = await pipeline(tenant, threeRows('notify: [{ on: [failed], to: ops }]\n'))
    await allow(tenant, { runs: 5 })
    for (let i = 0; i < 4; i++) await end(tenant, await start(tenant, id))
    await addUp(here.services)
    type Alerts = { items: Record<string, unknown>[] }
    const { items } = await json<Alerts>(await tenant.fetch('/v1/alerts?kind=quota'), 200)
    expect(items).toEqual([
      {
        id: expect.stringMatching(/^alr_/),
        kind: 'quota',
        level: 80,
        quota: 'runs',
        state: 'open',
        detail: { name: 'runs', used: 4, limit: 5, resetsAt: expect.any(String) },
        at: expect.any(String),
      },
    ])
    const { rows } = await owner.query<{ id: string }>(
      `select id from outbox where tenant_id = $1 and kind = 'notify'`,
      [tenant.id],
    )
    expect(rows).toHaveLength(1)
    await deliverNotice(here.services, { tenantId: tenant.id, outboxId: Number(rows[0]?.id) })
    const said = JSON.parse(there.at('/ops')[0]?.body ?? '{}') as Record<string, unknown>
    expect(said).toMatchObject({ type: 'alert.quota' })
    expect(JSON.stringify(said)).toContain('"level":80')
    await there.close()
  })
})

describe('requests', () => {
  it('are taken over from Redis once, and what Redis loses is what it had not told', async () => {
    const tenant = await here.tenant()
    const requests = async () => (await quotaOf(tenant, 'requests'))?.used ?? 0
    await addUp(here.services)
    const before = await requests()
    for (let i = 0; i < 7; i++) await countRequest(here.services.cache, tenant.id, here.services.now())
    await addUp(here.services)
    await addUp(here.services)
    const told = await requests()
    expect(told - before).toBeGreaterThanOrEqual(7)
    const key = `public:requests:${here.services.now().toISOString().slice(0, 10)}`
    const lost = await client(database.ownerUrl)
    await here.services.cache.del(key)
    await countRequest(here.services.cache, tenant.id, here.services.now())
    await addUp(here.services)
    expect(await requests()).toBeGreaterThan(told)
    const { rows } = await lost.query('select epoch from request_counts where tenant_id = $1', [tenant.id])
    await lost.end()
    expect(rows).toHaveLength(2)
  })
})
