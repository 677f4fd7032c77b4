import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import { door, type Door } from '#test/support/door.ts'
import {
  ageOutbox,
  happened,
  leftovers,
  nothing,
  runState,
  tableOf,
  tally,
  tallyOf,
} from '#test/support/ledger.ts'
import { pool } from '#test/support/own-stack.ts'
import { connect, pipeline, readRun, start, upload, warehouseTable } from '#test/support/pipeline.ts'
import { attempts, inject, tick, type Armed } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const env = given('env')
const rows = 2_000
const over = /^(succeeded|succeeded_with_warnings|failed|cancelled)$/

let here: World
let acme: Tenant
let owner: pg.Pool
let warehouse: pg.Pool
let late: Door
const faults: Armed[] = []

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = pool(given('ownerUrl'))
  warehouse = pool(given('warehouse').url)
  late = await door(given('warehouse'))
  const files = await connect(acme, 'files')
  await connect(acme, 'postgres', 'warehouse')
  await connect(acme, 'postgres', 'late', { ...given('warehouse'), port: late.port })
  const lines = Array.from({ length: rows }, (_, i) => `${i + 1},${i % 2 === 0 ? 'even' : 'odd'}`)
  await upload(acme, files, 'rows.csv', ['id,kind', ...lines].join('\n'))
})
afterAll(async () => {
  for (const each of faults) await each.undo()
  await late.shut()
  await Promise.all([owner.end(), warehouse.end()])
  await here.close()
})

const branches = (table: string) => `
steps:
  - { id: read, extract: { connection: files, stream: rows.csv }, into: raw }
  - { id: a, from: raw, transform: [{ filter: { column: kind, eq: even } }], into: part_a }
  - { id: b, from: raw, transform: [{ filter: { column: kind, eq: odd } }], into: part_b }
  - { id: check_a, check: part_a, rules: [{ rule: unique, column: id }] }
  - { id: check_b, check: part_b, rules: [{ rule: in_set, column: kind, values: [even], onFail: warn }] }
  - { id: join, sql: select id from part_a union all select id from part_b, into: joined, after: [check_a, check_b] }
  - { id: publish, load: { from: joined, connection: warehouse, table: public.${table}, mode: append } }`

const waits = `
steps:
  - { id: short, wait: { for: 300ms } }
  - { id: long, wait: { for: 1500ms } }
  - { id: fails, sql: "select 1 / (n - 1) as q from generate_series(1, 2) n", into: never }
  - { id: skipped, sql: select 1 as one, into: not_made, after: [fails] }
  - { id: cleans_up, sql: select 1 as id, into: made, after: [fails, short, long], when: all_done }
  - { id: only_then, sql: select 1 as id, into: made_too, after: [fails], when: all_failed }`

const retries = (table: string) => `
retry: { attempts: 20, backoff: constant, first: 300ms, jitter: false }
steps:
  - { id: rows, sql: "select n::int4 as id from generate_series(1, ${rows}) n", into: numbers }
  - { id: publish, load: { from: numbers, connection: late, table: public.${table}, mode: append } }`

describe('messages that come twice, in another order, or one in ten not at all', () => {
  it('move every run to the end that it has without them', async () => {
    faults.push(
      await inject(env, here.url, { kind: 'duplicate' }),
      await inject(env, here.url, { kind: 'duplicate', afterMs: 250 }, { every: 3 }),
      await inject(env, here.url, { kind: 'reorder', ms: 300 }),
      await inject(env, here.url, { kind: 'dropAttempt', retryAfterMs: 200 }, { every: 10 }),
      await inject(env, here.url, { kind: 'losePublish' }, { every: 10 }),
    )
    const tables = { branches: warehouseTable(), retries: warehouseTable() }
    const pipelines = {
      branches: await pipeline(acme, branches(tables.branches)),
      waits: await pipeline(acme, waits),
      retries: await pipeline(acme, retries(tables.retries)),
    }
    const started = await Promise.all(
      [1, 2, 3, 4].flatMap(() =>
        Object.entries(pipelines).map(async ([kind, id]) => ({ kind, id: await start(acme, id) })),
      ),
    )
    const retrying = started.filter(({ kind }) => kind === 'retries').map(({ id }) => id)
    await until('a load to have failed once', async () => {
      await ageOutbox(owner, acme.id)
      await tick(env, here.url)
      return (await happened(owner, retrying[0] ?? '', 'publish'))['step.retrying']
    })
    await late.open()
    await until(
      'every run to end and every message to be consumed',
      async () => {
        // A message that QStash lost for good comes again with the tick.
        await ageOutbox(owner, acme.id)
        await tick(env, here.url)
        const states = await Promise.all(started.map(({ id }) => runState(owner, id)))
        const left = await Promise.all(started.map(async ({ id }) => (await leftovers(owner, id)).wakes))
        return states.every((state) => over.test(state)) && left.every((wakes) => wakes === 0)
      },
      40_000,
    )

    for (const { kind, id } of started) {
      const run = await readRun(acme, id)
      expect(
        Object.fromEntries(
          run.steps.map(({ key, state, error }) => [key, state === 'failed' ? error?.code : state]),
        ),
        kind,
      ).toEqual(ends[kind])
      expect([kind, run.state]).toEqual([
        kind,
        { branches: 'succeeded_with_warnings', waits: 'failed', retries: 'succeeded' }[kind],
      ])
      expect(await leftovers(owner, id)).toEqual(nothing)
      for (const { key, state } of run.steps) {
        const ended = Object.entries(await happened(owner, id, key)).filter(([type]) =>
          /succeeded|failed|skipped/.test(type),
        )
        expect([key, ended]).toEqual([key, [[`step.${state}`, 1]]])
      }
    }
    expect(await tally(owner, await tableOf(owner, acme.id, 'joined'))).toEqual(tallyOf(rows))
    for (const table of [tables.branches, tables.retries]) {
      const four = { rows: 4 * rows, distinct: rows, sum: 4 * tallyOf(rows).sum }
      expect(await tally(warehouse, table)).toEqual(four)
    }
    const seen = (await attempts(env, here.url)).map(({ fault }) => fault)
    expect(seen.filter((fault) => fault === 'duplicate').length).toBeGreaterThan(20)
    expect(seen.filter((fault) => fault === 'dropAttempt').length).toBeGreaterThan(2)
  })
})

const ends: Record<string, Record<string, string>> = {
  branches: Object.fromEntries(
    ['read', 'a', 'b', 'check_a', 'check_b', 'join', 'publish'].map((key) => [key, 'succeeded']),
  ),
  waits: {
    short: 'succeeded',
    long: 'succeeded',
    fails: 'sql_failed',
    skipped: 'skipped',
    cleans_up: 'succeeded',
    only_then: 'succeeded',
  },
  retries: { rows: 'succeeded', publish: 'succeeded' },
}
