import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { judge } from '#test/chaos/judge.ts'
import type { Plan } from '#test/chaos/plan.ts'
import { pool } from '#test/support/own-stack.ts'
import { connect, end, pipeline, start, warehouseTable } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const ids = Array.from({ length: 50 }, (_, i) => i + 1)
const table = warehouseTable()
const plan: Plan = {
  seed: 0,
  yaml: `
steps:
  - { id: rows, sql: "select n::int4 as id from generate_series(1, 50) n", into: judged }
  - { id: pause, wait: { for: 10ms }, after: [rows] }
  - { id: publish, load: { from: judged, connection: warehouse, table: public.${table}, mode: append }, after: [pause] }`,
  steps: [
    { id: 'rows', yaml: '', dataset: 'judged', rows: ids },
    { id: 'pause', yaml: '' },
    { id: 'publish', yaml: '', load: { table, mode: 'append', rows: ids } },
  ],
  tables: [table],
  runs: 1,
  cancels: [],
  faults: [],
}

let here: World
let acme: Tenant
let owner: pg.Pool
let warehouse: pg.Pool
let runId: string

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = pool(inject('ownerUrl'))
  warehouse = pool(inject('warehouse').url)
  await connect(acme, 'postgres', 'warehouse')
  runId = await start(acme, await pipeline(acme, plan.yaml))
  expect((await end(acme, runId)).state).toBe('succeeded')
})
afterAll(async () => {
  await Promise.all([owner.end(), warehouse.end()])
  await here.close()
})

/** What the judge says of the finished run while a change to it stands. */
async function after(change: string, by: pg.Pool = owner) {
  const client = await by.connect()
  try {
    await client.query('begin')
    await client.query(change.replaceAll('$run', `'${runId}'`))
    const verdict = await judge(by === owner ? client : owner, by === warehouse ? client : warehouse, plan, [
      runId,
    ])
    const { words: _, ...counts } = verdict
    return counts
  } finally {
    await client.query('rollback')
    client.release()
  }
}

const right = { lost: 0, doubled: 0, stuck: 0, leaked: 0 }
const version = async () =>
  (await owner.query<{ id: string }>('select id from dataset_versions where run_id = $1', [runId])).rows[0]
    ?.id

describe('the judge of chaos', () => {
  it('finds nothing wrong with a run that went well', async () => {
    expect(await after('select 1')).toEqual(right)
  })

  it.each([
    [
      'a step that still runs',
      `update steps set state = 'running' where run_id = $run and key = 'pause'`,
      'stuck',
    ],
    ['a run that is not over', `update runs set finished_at = null where id = $run`, 'stuck'],
    ['a lease', `update steps set lease_until = now() where run_id = $run and key = 'pause'`, 'leaked'],
    [
      'a message',
      `insert into outbox (tenant_id, kind, payload, send_after) select tenant_id, 'run', jsonb_build_object('runId', id), now() from runs where id = $run`,
      'leaked',
    ],
    [
      'a version that was never finished',
      `update dataset_versions set state = 'building' where run_id = $run`,
      'leaked',
    ],
    ['an event that is missing', `delete from run_events where run_id = $run and seq = 3`, 'lost'],
    [
      'a step that should not have been skipped',
      `update steps set state = 'skipped' where run_id = $run and key = 'pause'`,
      'lost',
    ],
    ['a version that is gone', `delete from dataset_versions where run_id = $run`, 'lost'],
    [
      'an end that was told twice',
      `with more as (update runs set events = events + 1 where id = $run returning tenant_id, id, events) insert into run_events (tenant_id, run_id, seq, type, step_key, actor) select tenant_id, id, events, 'step.succeeded', 'pause', 'x' from more`,
      'doubled',
    ],
  ] as const)('sees %s', async (_, change, what) => {
    expect((await after(change))[what]).toBeGreaterThan(0)
  })

  it('sees a row that is missing, or there twice, in a dataset', async () => {
    const id = await version()
    expect((await after(`delete from data."${id}" where id = 7`)).lost).toBeGreaterThan(0)
    expect((await after(`insert into data."${id}" (id) values (7)`)).doubled).toBeGreaterThan(0)
    expect((await after(`update data."${id}" set id = 8 where id = 7`)).lost).toBeGreaterThan(0)
  })

  it('sees a row that is missing, or there twice, in a destination', async () => {
    expect((await after(`delete from public.${table} where id = 7`, warehouse)).lost).toBeGreaterThan(0)
    expect((await after(`insert into public.${table} (id) values (7)`, warehouse)).doubled).toBeGreaterThan(0)
  })
})
