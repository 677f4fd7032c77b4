import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import type { TenantId } from '#src/domain/id.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { ageOutbox, leftovers, nothing } from '#test/support/ledger.ts'
import { client } from '#test/support/own-stack.ts'
import { end, json, pipeline, readRun, start, type RunJson } from '#test/support/pipeline.ts'
import { inject, tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const env = given('env')
let here: World
let acme: Tenant
let owner: pg.Client

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = await client(given('ownerUrl'))
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

type Times = RunJson & { startedAt: string; finishedAt: string }
const times = async (runId: string) => json<Times>(await acme.fetch(`/v1/runs/${runId}`), 200)

describe.concurrent('a pipeline that limits how many of its runs go on at once', () => {
  it.each([1, 2])('of %i never has more, and all that were started at once end', async (limit) => {
    const id = await pipeline(
      acme,
      `
concurrency: ${limit}
steps:
  - { id: a, sql: "select count(*) as n from generate_series(1, 200000) n", into: limited_${limit}_a }
  - { id: pause, wait: { for: 100ms }, after: [a] }
  - { id: b, sql: select n from limited_${limit}_a, into: limited_${limit}_b, after: [pause] }`,
    )
    const ids = await Promise.all([1, 2, 3, 4, 5].map(() => start(acme, id)))
    for (const runId of ids) expect((await end(acme, runId)).state).toBe('succeeded')
    const runs = await Promise.all(ids.map(times))
    const moves = runs.flatMap((run) => [
      { at: run.startedAt, by: 1 },
      { at: run.finishedAt, by: -1 },
    ])
    moves.sort((one, other) => Date.parse(one.at) - Date.parse(other.at) || one.by - other.by)
    let active = 0
    const most = Math.max(...moves.map(({ by }) => (active += by)))
    expect(most).toBe(limit)
    for (const runId of ids) expect(await leftovers(owner, runId)).toEqual(nothing)
  })
})

describe('a schedule', () => {
  it('fires once for each time that was due, however many ticks there are at once', async () => {
    const id = await pipeline(
      acme,
      `
triggers: [{ cron: "0 6 * * *", timezone: Europe/Berlin }]
parameters: { n: { type: integer, default: 7 } }
steps:
  - { id: only, sql: "select \${params.n} as n", into: scheduled }`,
    )
    const schedule = async () =>
      (
        await owner.query<{ next: Date }>(
          'select next_fire_at as next from schedules where pipeline_id = $1',
          [id],
        )
      ).rows
    expect((await schedule())[0]?.next.getTime()).toBeGreaterThan(Date.now())
    await owner.query(`update schedules set next_fire_at = now() - interval '1 s' where pipeline_id = $1`, [
      id,
    ])
    await Promise.all([1, 2, 3, 4].map(() => tick(env, here.url)))
    const list = await json<{ items: RunJson[] }>(await acme.fetch(`/v1/runs?pipelineId=${id}`), 200)
    expect(list.items).toMatchObject([{ trigger: 'schedule', startedBy: 'schedule' }])
    expect(await end(acme, list.items[0]?.id ?? '')).toMatchObject({
      state: 'succeeded',
      steps: [{ rowsOut: 1 }],
    })
    expect((await schedule())[0]?.next.getTime()).toBeGreaterThan(Date.now())
    await tick(env, here.url)
    expect(
      (await json<{ items: RunJson[] }>(await acme.fetch(`/v1/runs?pipelineId=${id}`), 200)).items,
    ).toHaveLength(1)
  })

  it('is not fired by a tick that QStash did not sign', async () => {
    const id = await pipeline(
      acme,
      `
triggers: [{ cron: "0 6 * * *" }]
steps:
  - { id: only, sql: select 1 as n, into: unscheduled }`,
    )
    await owner.query(`update schedules set next_fire_at = now() + interval '1 day' where pipeline_id = $1`, [
      id,
    ])
    for (const headers of [{}, { 'Upstash-Signature': 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl' }]) {
      const answer = await fetch(`${here.url}/jobs/tick`, { method: 'POST', body: '{}', headers })
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        401,
        'unauthenticated',
      ])
    }
    expect(
      (await json<{ items: RunJson[] }>(await acme.fetch(`/v1/runs?pipelineId=${id}`), 200)).items,
    ).toEqual([])
  })
})

describe('a wake-up that was lost', () => {
  it('is sent again by the tick, because it is still in the outbox', async () => {
    const id = await pipeline(acme, 'steps:\n  - { id: only, sql: select 1 as n, into: lost_once }')
    const undo = await inject(env, here.url, { kind: 'losePublish' })
    const runId = await start(acme, id)
    await until('the publish to be lost', async () => (await leftovers(owner, runId)).wakes === 1)
    await tick(env, here.url)
      .finally(undo)
      .catch(() => undefined)
    expect((await readRun(acme, runId)).state).toBe('queued')
    await until('the run to be sent again', async () => {
      await ageOutbox(owner, acme.id)
      await tick(env, here.url)
      return (await readRun(acme, runId)).state === 'succeeded'
    })
    await until('the wake-up to be consumed', async () => (await leftovers(owner, runId)).wakes === 0)
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })
})

describe('app.sweep', () => {
  let tenantId: TenantId
  let calls: EngineCalls
  beforeAll(async () => {
    tenantId = await newBareTenant(owner)
    calls = await engineCalls(tenantId)
  })
  afterAll(() => calls.end())

  const swept = async () => {
    const { rows } = await calls.client.query<{ tenant_id: string; payload: { runId: string } }>(
      'select * from app.sweep(1000)',
    )
    return rows.filter((row) => row.tenant_id === tenantId).map((row) => row.payload.runId)
  }
  const fork = ['lost', 'rests'].map((key) => ({ key, needs: [], when: 'all_success' as const }))
  const claimed = async (runId: Awaited<ReturnType<EngineCalls['start']>>, delivery: string) => {
    const claim = await calls.claim(runId, null, delivery)
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    return claim
  }

  it('wakes a run whose step lost its holder, even while another step of it waits for tomorrow', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork))
    await claimed(runId, 'msg_dies')
    const rests = await claimed(runId, 'msg_rests')
    await owner.query('delete from outbox where tenant_id = $1', [tenantId])
    await calls.complete(runId, rests.step, { state: 'waiting', delayMs: 86_400_000 }, 'msg_rests')
    expect(await swept()).toEqual([])
    await owner.query(
      `update steps set lease_until = now() - interval '1 s' where run_id = $1 and key = 'lost'`,
      [runId],
    )
    expect(await swept()).toEqual([runId])
    expect(await swept()).toEqual([])
    expect((await claimed(runId, 'msg_third')).step).toMatchObject({ key: 'lost', attempt: 2 })
  })

  it('wakes a run whose time is up, and then nothing of it waits any longer', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork, { timeoutMs: 60_000 }))
    const first = await claimed(runId, 'msg_a')
    const { step: second } = await calls.complete(
      runId,
      first.step,
      { state: 'waiting', delayMs: 3_600_000 },
      'msg_a',
    )
    if (!second) throw new Error('the second step was not taken')
    await calls.complete(runId, second, { state: 'ready', delayMs: 3_600_000 }, 'msg_a')
    await owner.query('delete from outbox where tenant_id = $1 and not_before is null', [tenantId])
    expect(await swept()).toEqual([])
    expect((await calls.claim(runId, null, 'msg_c')).outcome).toBe('idle')
    await owner.query(`update runs set deadline_at = now() - interval '1 s' where id = $1`, [runId])
    expect(await swept()).toEqual([runId])
    expect((await claimed(runId, 'msg_d')).step.key).toBe('lost')
    expect((await claimed(runId, 'msg_e')).step.key).toBe('rests')
  })

  it('hands out one wake-up for each branch that a step opens but the one that its delivery takes', async () => {
    const branches = ['b', 'c', 'd'].map((key) => ({ key, needs: ['a'], when: 'all_success' as const }))
    const runId = await calls.start(
      await plannedPipeline(owner, tenantId, [{ key: 'a', needs: [], when: 'all_success' }, ...branches]),
    )
    const first = await claimed(runId, 'msg_a')
    const { step, wakes } = await calls.complete(runId, first.step, { state: 'succeeded' }, 'msg_a')
    expect([step?.key, wakes.length]).toEqual(['b', 2])
  })

  it('leaves one message behind for one that was consumed, however often that one is delivered', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork.slice(0, 1)))
    await owner.query('delete from outbox where tenant_id = $1', [tenantId])
    const only = await claimed(runId, 'msg_a')
    const { wakes } = await calls.complete(
      runId,
      only.step,
      { state: 'waiting', delayMs: 3_600_000 },
      'msg_a',
    )
    const outboxId = wakes[0]?.id ?? 0
    for (let copy = 0; copy < 4; copy++)
      expect((await calls.claim(runId, outboxId, 'msg_early')).outcome).toBe('idle')
    expect((await leftovers(owner, runId)).wakes).toBe(1)
  })
})
