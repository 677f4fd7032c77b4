import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { tick } from '#src/actions/tick.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import { end, finished, json, pipeline, start } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
/** A world whose messages are all lost, and what it would have sent. */
let mute: World
const lost: { tenantId: TenantId; message: Message }[] = []
let acme: Tenant
let globex: Tenant
let owner: pg.Client
beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  const send = (tenantId: TenantId, messages: readonly Message[]) => {
    lost.push(...messages.map((message) => ({ tenantId, message })))
    return Promise.resolve()
  }
  ;[here, mute] = await Promise.all([world(), world((services) => ({ ...services, send })), owner.connect()])
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
})
afterAll(() => Promise.all([here.close(), mute.close(), owner.end()]))

type Run = { id: string; state: string; trigger: string; startedBy: string; parameters: object }
const runsOf = async (tenant: Tenant): Promise<Run[]> =>
  (await json<{ items: Run[] }>(await tenant.fetch('/v1/runs'), 200)).items
const scheduled = (tenant: Tenant, into: string) =>
  pipeline(
    tenant,
    `parameters: { n: { type: integer, default: 3 } }
triggers: [{ cron: "0 4 1 1 *", timezone: Asia/Tokyo }]
steps: [{ id: one, sql: "select \${params.n} as n", into: ${into} }]
`,
  )
const makeDue = (pipelineId: string) =>
  owner.query("update schedules set next_fire_at = now() - interval '3 days' where pipeline_id = $1", [
    pipelineId,
  ])

describe('a tick', () => {
  it('fires a schedule that is due once, whoever else ticks, in its own tenant', async () => {
    const [ours, theirs] = [await scheduled(acme, 'ours'), await scheduled(globex, 'theirs')]
    await tick(here.services)
    expect([...(await runsOf(acme)), ...(await runsOf(globex))]).toEqual([])
    await Promise.all([makeDue(ours), makeDue(theirs)])
    await Promise.all([tick(here.services), tick(here.services), tick(here.services)])
    for (const [tenant, pipelineId] of [
      [acme, ours],
      [globex, theirs],
    ] as const) {
      const runs = await runsOf(tenant)
      expect(runs).toEqual([
        expect.objectContaining({ pipelineId, trigger: 'schedule', startedBy: 'schedule' }),
      ])
      expect((await end(tenant, runs[0]?.id ?? '')).state).toBe('succeeded')
      const { rows } = await owner.query(
        `select next_fire_at at time zone 'Asia/Tokyo' as at, next_fire_at > now() as ahead from schedules where pipeline_id = $1`,
        [pipelineId],
      )
      expect(rows).toEqual([{ at: expect.any(Date), ahead: true }])
    }
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
    expect((await runsOf(tenant)).map(({ trigger }) => trigger)).toEqual(['schedule'])
    expect(lines).toContainEqual(expect.objectContaining({ event: 'schedule.failed', tenantId: tenant.id }))
    await owner.query('delete from schedules where pipeline_id = $1', [broken])
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
