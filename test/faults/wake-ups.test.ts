import { describe, expect, inject as given, it } from 'vitest'
import { ageOutbox, leftovers, nothing, runState } from '#test/support/ledger.ts'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { end, json, pipeline, readRun, start, type RunJson } from '#test/support/pipeline.ts'
import { inject, tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'

const env = given('env')
const here = await fileWorld()
const acme = await here.tenant()
const owner = filePool()

const runsOf = async (pipelineId: string) =>
  (await json<{ items: RunJson[] }>(await acme.fetch(`/v1/runs?pipelineId=${pipelineId}`), 200)).items

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
    // Another test's tick may have been the one that fires it.
    await until('the run to be there', async () => (await runsOf(id)).length > 0)
    await Promise.all([1, 2].map(() => tick(env, here.url)))
    const fired = await runsOf(id)
    expect(fired).toMatchObject([{ trigger: 'schedule', startedBy: 'schedule' }])
    expect(await end(acme, fired[0]?.id ?? '')).toMatchObject({
      state: 'succeeded',
      steps: [{ rowsOut: 1 }],
    })
    expect((await schedule())[0]?.next.getTime()).toBeGreaterThan(Date.now())
    await tick(env, here.url)
    expect(await runsOf(id)).toHaveLength(1)
  })

  it('is not asked about by a tick that QStash did not sign', async () => {
    for (const headers of [{}, { 'Upstash-Signature': 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl' }]) {
      const answer = await fetch(`${here.url}/jobs/tick`, { method: 'POST', body: '{}', headers })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ code: 'unauthenticated' })
    }
  })
})

describe('a wake-up that was lost', () => {
  it('is sent again by the tick, because it is still in the outbox', async () => {
    const id = await pipeline(acme, 'steps:\n  - { id: only, sql: select 1 as n, into: lost_once }')
    const loss = await inject(env, here.url, { kind: 'losePublish' }, { times: 1 })
    const runId = await start(acme, id)
    await until('the publish to be lost', async () => (await loss.struck()) === 1)
    expect(await readRun(acme, runId)).toMatchObject({ state: 'queued', steps: [{ state: 'ready' }] })
    expect((await leftovers(owner, runId)).wakes).toBe(1)
    await until('the run to be sent again', async () => {
      await ageOutbox(owner, acme.id)
      await tick(env, here.url)
      return (await runState(owner, runId)) === 'succeeded'
    })
    await until('the wake-up to be consumed', async () => (await leftovers(owner, runId)).wakes === 0)
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })
})
