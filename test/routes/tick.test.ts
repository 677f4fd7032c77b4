import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { fire } from '#src/actions/fires.ts'
import { tick } from '#src/actions/tick.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { end, finished, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
/** A world whose messages are all lost, and what it would have sent. */
let mute: World
const lost: { tenantId: TenantId; message: Message }[] = []
let acme: Tenant
let globex: Tenant
let owner: pg.Client
// Where no other test's tick looks.
let database: OwnDatabase
beforeAll(async () => {
  database = await ownDatabase()
  owner = database.owner
  const variables = { ...inject('env'), DATABASE_URL: database.url }
  const send = (tenantId: TenantId, messages: readonly Message[]) => {
    lost.push(...messages.map((message) => ({ tenantId, message })))
    return Promise.resolve()
  }
  ;[here, mute] = await Promise.all([
    world((services) => services, variables),
    world((services) => ({ ...services, send }), variables),
  ])
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
})
afterAll(async () => {
  await Promise.all([here.close(), mute.close()])
  await database.leave()
})

type Run = { id: string; state: string; trigger: string; startedBy: string; parameters: object }
const runsOf = async (tenant: Tenant, pipelineId?: string): Promise<Run[]> =>
  (
    await json<{ items: Run[] }>(
      await tenant.fetch(`/v1/runs${pipelineId ? `?pipelineId=${pipelineId}` : ''}`),
      200,
    )
  ).items
const scheduled = (tenant: Tenant, into: string, more = '') =>
  pipeline(
    tenant,
    `parameters: { n: { type: integer, default: 3 }, region: { type: text, default: all } }
triggers: [{ cron: "0 4 1 1 *", timezone: Asia/Tokyo${more} }]
steps: [{ id: one, sql: "select \${params.n} as n", into: ${into} }]
`,
  )
const makeDue = (pipelineId: string, ago = '3 days') =>
  owner.query('update schedules set next_fire_at = now() - $2::interval where pipeline_id = $1', [
    pipelineId,
    ago,
  ])
const scheduleOf = async (pipelineId: string) =>
  (
    await owner.query<{ id: string; key: string; next: Date; at: string; ahead: boolean }>(
      `select id, key, next_fire_at as next, to_char(next_fire_at at time zone 'Asia/Tokyo', 'MM-DD HH24:MI') as at,
        next_fire_at > now() as ahead from schedules where pipeline_id = $1 order by key`,
      [pipelineId],
    )
  ).rows

describe('a tick', () => {
  it('has a schedule that is due fired once, whoever else ticks, in its own tenant', async () => {
    const [ours, theirs] = [await scheduled(acme, 'ours'), await scheduled(globex, 'theirs')]
    await tick(here.services)
    expect([...(await runsOf(acme)), ...(await runsOf(globex))]).toEqual([])
    await Promise.all([makeDue(ours), makeDue(theirs)])
    await Promise.all([tick(here.services), tick(here.services), tick(here.services)])
    for (const [tenant, pipelineId] of [
      [acme, ours],
      [globex, theirs],
    ] as const) {
      const runs = await until('the run', async () => {
        const found = await runsOf(tenant)
        return found.length > 0 && found
      })
      expect(runs).toEqual([
        expect.objectContaining({ pipelineId, trigger: 'schedule', startedBy: 'schedule' }),
      ])
      expect((await end(tenant, runs[0]?.id ?? '')).state).toBe('succeeded')
      expect(await scheduleOf(pipelineId)).toMatchObject([{ at: '01-01 04:00', ahead: true }])
    }
  })

  it('fires with the parameters of the trigger, at the time that the run stands for', async () => {
    const tenant = await here.tenant()
    const id = await scheduled(tenant, 'regional', ', parameters: { region: eu }, catchUp: all')
    const due = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 2_000)
    await owner.query('update schedules set next_fire_at = $2 where pipeline_id = $1', [id, due])
    await tick(here.services)
    const [run] = await until('the run', async () => {
      const found = await runsOf(tenant)
      return found.length > 0 && found
    })
    expect(run?.parameters).toEqual({ n: 3, region: 'eu' })
    const { rows } = await owner.query<{ at: Date; lateMs: number }>(
      `select scheduled_for as at, extract(epoch from created_at - scheduled_for)::float8 * 1000 as "lateMs" from runs where id = $1`,
      [run?.id],
    )
    expect(rows[0]?.at).toEqual(due)
    expect(rows[0]?.lateMs).toBeGreaterThanOrEqual(0)
    expect(rows[0]?.lateMs).toBeLessThan(5_000)
  })

  it('fires again what was lost on the way, and what came very late is left to it', async () => {
    const tenant = await mute.tenant()
    const id = await scheduled(tenant, 'lost')
    await makeDue(id, '1 s')
    await tick(mute.services)
    const sent = () =>
      lost.flatMap(({ message }) =>
        message.job === 'fire' && message.payload.tenantId === tenant.id ? [message.payload] : [],
      )
    expect(sent()).toHaveLength(1)
    await makeDue(id, '40 s')
    await owner.query(
      "update schedules set announced_at = announced_at - interval '40 s' where pipeline_id = $1",
      [id],
    )
    await tick(mute.services)
    const [first, again] = sent()
    if (!first || !again) throw new Error('two messages were wanted')
    const later = { ...mute.services, now: () => new Date(Date.now() + 200_000) }
    await fire(later, again)
    expect(await runsOf(tenant)).toEqual([])
    await fire(mute.services, first)
    expect(await runsOf(tenant)).toEqual([])
    await fire(mute.services, again)
    await fire(mute.services, again)
    expect(await runsOf(tenant)).toHaveLength(1)
  })

  it('sends schedules of many tenants in few calls, and those of one second in one message', async () => {
    const tenants = await Promise.all([mute.tenant(), mute.tenant()])
    const calls: Message[][] = []
    for (const tenant of tenants)
      for (const into of ['a1', 'a2', 'a3']) await makeDue(await scheduled(tenant, into), '0 s')
    await tick({ ...mute.services, send: async (_, messages) => void calls.push([...messages]) })
    const [fires = []] = calls.filter((call) => call.some(({ job }) => job === 'fire'))
    const sizes = tenants.map((tenant) =>
      fires.flatMap(({ job, payload }) =>
        job === 'fire' && payload.tenantId === tenant.id ? [payload.fires.length] : [],
      ),
    )
    expect(sizes).toEqual([[3], [3]])
  })

  it('fires the others when one cannot be', async () => {
    const tenant = await here.tenant()
    const [broken, sound] = [await scheduled(tenant, 'broken'), await scheduled(tenant, 'sound')]
    await owner.query(
      `update schedules set cron = 'never', next_fire_at = now() - interval '9 days' where pipeline_id = $1`,
      [broken],
    )
    await makeDue(sound)
    const lines: Record<string, unknown>[] = []
    await tick({ ...here.services, log: (line) => void lines.push(line) })
    await until('the run', async () => (await runsOf(tenant)).length > 0)
    expect((await runsOf(tenant)).map(({ trigger }) => trigger)).toEqual(['schedule'])
    expect(lines).toContainEqual(expect.objectContaining({ event: 'schedule.failed', tenantId: tenant.id }))
    await owner.query('delete from schedules where pipeline_id = $1', [broken])
  })

  it('keeps a schedule and its time through a new version, and drops one that is gone', async () => {
    const tenant = await here.tenant()
    const text = (triggers: string) =>
      `apiVersion: weir/v1\nkind: Pipeline\nname: kept\ntriggers: [${triggers}]\nsteps: [{ id: one, wait: { for: 1s } }]\n`
    const headers = { 'Content-Type': 'application/yaml' }
    const [kept, gone] = ['{ cron: "0 4 1 1 *" }', '{ cron: "0 5 1 1 *" }']
    const made = await tenant.fetch('/v1/pipelines', {
      method: 'POST',
      headers,
      body: text(`${kept}, ${gone}`),
    })
    const { id } = await json<{ id: string }>(made, 201)
    await makeDue(id, '1 s')
    const before = await scheduleOf(id)
    const put = await tenant.fetch(`/v1/pipelines/${id}`, {
      method: 'PUT',
      headers: { ...headers, 'If-Match': '*' },
      body: text(`${kept.replace(' }', ', overlap: skip }')}, { cron: "0 6 1 1 *" }`),
    })
    expect(put.status).toBe(200)
    const after = await scheduleOf(id)
    expect([before.length, after.length]).toEqual([2, 2])
    expect(after[0]).toEqual(before[0])
    expect(after[1]).toMatchObject({ ahead: true })
    await tick(here.services)
    await until('the run', async () => (await runsOf(tenant)).length > 0)
    expect(await runsOf(tenant)).toHaveLength(1)
  })

  it('ends what was queued of a pipeline that was deleted while it was paused: nobody could let it go on', async () => {
    const tenant = await here.tenant()
    const [gone, kept] = [
      await pipeline(tenant, 'steps: [{ id: one, wait: { for: 0s } }]\n'),
      await pipeline(tenant, 'steps: [{ id: one, wait: { for: 0s } }]\n'),
    ]
    const runs: string[] = []
    for (const id of [gone, kept]) {
      await tenant.fetch(`/v1/pipelines/${id}/pause`, { method: 'POST', body: {} })
      runs.push(await start(tenant, id))
    }
    await tenant.fetch(`/v1/pipelines/${gone}`, { method: 'DELETE' })
    await tick(here.services)
    const states = []
    for (const id of runs) states.push((await readRun(tenant, id)).state)
    expect(states).toEqual(['cancelled', 'queued'])
  })

  it('leaves a deleted pipeline alone', async () => {
    const tenant = await here.tenant()
    const gone = await scheduled(tenant, 'gone')
    await makeDue(gone)
    await tenant.fetch(`/v1/pipelines/${gone}`, { method: 'DELETE' })
    await tick(here.services)
    expect(await runsOf(tenant)).toEqual([])
  })

  it('sends again what was never sent, of every tenant, once it is old enough', async () => {
    const tenants = await Promise.all([mute.tenant(), mute.tenant()])
    const ids: string[] = []
    for (const tenant of tenants) {
      ids.push(
        await start(tenant, await pipeline(tenant, 'steps: [{ id: one, sql: select 1 as n, into: late }]\n')),
      )
    }
    const about = () =>
      lost.filter(({ message }) => message.job === 'run' && ids.includes(message.payload.runId))
    expect(about()).toHaveLength(2)
    await tick(mute.services)
    expect(about()).toHaveLength(2)
    const age = () =>
      owner.query("update outbox set send_after = now() - interval '1 s' where payload->>'runId' = any($1)", [
        ids,
      ])
    await age()
    await Promise.all([tick(mute.services), tick(mute.services)])
    expect(about()).toHaveLength(4)
    for (const { tenantId, message } of about()) expect(message.payload).toMatchObject({ tenantId })
    await age()
    await tick(here.services)
    for (const [i, tenant] of tenants.entries())
      expect((await end(tenant, ids[i] ?? '')).state).toBe('succeeded')
  })

  it('drops the versions that nobody reads any more, and no other', async () => {
    const tenant = await here.tenant()
    const [idle, busy] = [tenant, await here.tenant()]
    const made = await pipeline(idle, 'steps: [{ id: one, sql: select 1 as n, into: kept }]\n')
    const held = await pipeline(busy, 'steps: [{ id: one, sql: select 1 as n, into: kept }]\n')
    for (let i = 0; i < 5; i++) await Promise.all([finished(idle, made), finished(busy, held)])
    // A run that began after they were replaced holds none of them.
    await start(idle, await pipeline(idle, 'steps: [{ id: long, wait: { for: 1h } }]\n'))
    const waiting = await start(busy, await pipeline(busy, 'steps: [{ id: long, wait: { for: 1h } }]\n'))
    // The run that is under way began when the oldest versions were current.
    await owner.query("update runs set created_at = created_at - interval '1 hour' where id = $1", [waiting])
    await tick(here.services)
    const versions = async (of: Tenant) => {
      const { rows } = await owner.query<{ id: string; state: string; there: boolean }>(
        `select id, state, to_regclass('data.' || id) is not null as there from dataset_versions where tenant_id = $1 order by id desc`,
        [of.id],
      )
      for (const { state, there } of rows) expect(there).toBe(state === 'ready')
      return rows.map(({ state }) => state)
    }
    expect(await versions(idle)).toEqual(['ready', 'ready', 'ready', 'dropped', 'dropped'])
    expect(await versions(busy)).toEqual(['ready', 'ready', 'ready', 'ready', 'ready'])
    await busy.fetch(`/v1/runs/${waiting}/cancel`, { method: 'POST' })
    await end(busy, waiting)
    await tick(here.services)
    expect(await versions(busy)).toEqual(['ready', 'ready', 'ready', 'dropped', 'dropped'])
    const { items } = await json<{ items: { id: string }[] }>(await busy.fetch('/v1/datasets'), 200)
    const seen = await json<{ rows: string[][] }>(
      await busy.fetch(`/v1/datasets/${items[0]?.id}/preview`),
      200,
    )
    expect(seen.rows).toEqual([['1']])
  })
})
