import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import { door, type Door } from '#test/support/door.ts'
import { ageOutbox, eventsOf, executing, leftovers, nothing, tally, tallyOf } from '#test/support/ledger.ts'
import { pool } from '#test/support/own-stack.ts'
import { connect, end, finished, pipeline, start, warehouseTable } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const env = given('env')
let here: World
let acme: Tenant
let owner: pg.Pool
let warehouse: pg.Pool
let late: Door

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = pool(given('ownerUrl'))
  warehouse = pool(given('warehouse').url)
  late = await door(given('warehouse'))
  await connect(acme, 'postgres', 'late', { ...given('warehouse'), port: late.port })
  await connect(acme, 'postgres', 'never', {
    ...given('warehouse'),
    port: (await door(given('warehouse'))).port,
  })
})
afterAll(async () => {
  await late.shut()
  await Promise.all([owner.end(), warehouse.end()])
  await here.close()
})

const loadInto = (connection: string, table: string, retry: string) => `
steps:
  - { id: rows, sql: "select n::int4 as id from generate_series(1, 500) n", into: numbers_${table} }
  - id: publish
    load: { from: numbers_${table}, connection: ${connection}, table: public.${table}, mode: append }
    retry: ${retry}
`
/** Takes minutes when nobody stops it. */
const endless = (mark: string) =>
  `select count(*) as ${mark} from generate_series(1, 1000000000) a, generate_series(1, 1000) b`

describe.concurrent('a step that may be tried again', () => {
  it('is, after longer and longer waits, until its destination is there', async () => {
    const table = warehouseTable()
    const retry = '{ attempts: 10, backoff: exponential, first: 200ms, max: 700ms, jitter: false }'
    const runId = await start(acme, await pipeline(acme, loadInto('late', table, retry)))
    const events = await until('three failures', async () => {
      const retrying = (await eventsOf(owner, runId)).filter(({ type }) => type === 'step.retrying')
      return retrying.length >= 3 && retrying
    })
    expect(events.slice(0, 3).map(({ data }) => data?.['delayMs'])).toEqual([200, 400, 700])
    expect(events[0]?.data).toMatchObject({
      error: { code: 'connection_refused', message: expect.stringContaining('"late"') },
    })
    await late.open()
    const run = await end(acme, runId)
    expect(run).toMatchObject({
      state: 'succeeded',
      steps: [{ attempt: 1 }, { key: 'publish', state: 'succeeded', rowsOut: 500 }],
    })
    expect(run.steps[1]?.attempt).toBeGreaterThanOrEqual(4)
    const running = (await eventsOf(owner, runId)).filter(
      ({ type, step_key: key }) => type === 'step.running' && key === 'publish',
    )
    for (const [i, failure] of events.entries()) {
      const waited = (running[i + 1]?.at.getTime() ?? 0) - failure.at.getTime()
      expect(waited).toBeGreaterThanOrEqual(Number(failure.data?.['delayMs']))
    }
    expect(await tally(warehouse, table)).toEqual(tallyOf(500))
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })

  it('fails when it was tried as often as its policy says, and says why', async () => {
    const table = warehouseTable()
    const retry = '{ attempts: 3, backoff: constant, first: 100ms, jitter: false }'
    const run = await finished(acme, await pipeline(acme, loadInto('never', table, retry)))
    expect(run).toMatchObject({
      state: 'failed',
      steps: [{ state: 'succeeded' }, { state: 'failed', attempt: 3, error: { code: 'connection_refused' } }],
    })
    expect(run.steps[1]?.error?.message).toMatch(
      /^Connection "never": nothing accepts connections at 127\.0\.0\.1:\d+\.$/,
    )
    expect(await leftovers(owner, run.id)).toEqual(nothing)
  })
})

describe.concurrent('a time limit', () => {
  it('of a step stops its statement and fails it', async () => {
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
steps:
  - { id: slow, sql: "${endless('step_limited')}", into: never_a, timeout: 700ms }
  - { id: after_it, sql: select 1 as one, into: never_b, after: [slow] }`,
      ),
    )
    expect(run).toMatchObject({
      state: 'failed',
      steps: [{ state: 'failed', attempt: 1, error: { code: 'timeout' } }, { state: 'skipped' }],
    })
    await until('the statement to stop', async () => (await executing(owner, 'step_limited')) === 0, 3_000)
  })

  it('of a run stops the statement at work, and nothing else is begun', async () => {
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
timeout: 900ms
steps:
  - { id: slow, sql: "${endless('run_limited')}", into: never_c }
  - { id: cleans_up, sql: select 1 as one, into: never_d, after: [slow], when: all_done }`,
      ),
    )
    expect(run).toMatchObject({
      state: 'failed',
      steps: [
        { state: 'failed', error: { code: 'run_timeout' } },
        { state: 'failed', error: { code: 'run_timeout' } },
      ],
    })
    await until('the statement to stop', async () => (await executing(owner, 'run_limited')) === 0, 3_000)
  })

  it('of a run ends it while it only waits, at the next tick', async () => {
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `
timeout: 1h
steps:
  - { id: rests, wait: { for: 12h } }
  - { id: after_it, sql: select 1 as one, into: never_e, after: [rests] }`,
      ),
    )
    const state = async () =>
      (await owner.query(`select state from runs where id = $1`, [runId])).rows[0] as { state: string }
    await until('the run to wait', async () => (await state()).state === 'waiting')
    await owner.query(`update runs set deadline_at = now() - interval '1 ms' where id = $1`, [runId])
    await until('the run to end', async () => {
      await tick(env, here.url)
      return (await state()).state === 'failed'
    })
    const run = await end(acme, runId)
    expect(run).toMatchObject({
      state: 'failed',
      steps: [
        {
          state: 'failed',
          error: { code: 'run_timeout', message: expect.stringContaining('while this step waited') },
        },
        { state: 'skipped' },
      ],
    })
    await ageOutbox(owner, acme.id)
  })

  it('longer than a timer can be does not go off at once', async () => {
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
timeout: 300d
steps:
  - { id: quick, sql: select 1 as one, into: quickly, timeout: 200d }`,
      ),
    )
    expect(run).toMatchObject({ state: 'succeeded', steps: [{ attempt: 1 }] })
  })
})
