import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { client, pool } from '#test/support/own-stack.ts'
import { connect, end, pipeline, start, warehouseTable } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { judge, type Fault } from './judge.ts'
import { succeeded, type Made } from './kinds/kind.ts'
import { leaksOf } from './leaks.ts'
import { numbers } from './rows.ts'

const rows = numbers(50)
const table = warehouseTable()
const yaml = `
steps:
  - { id: rows, sql: "select n::int4 as id from generate_series(1, 50) n", into: judged }
  - { id: pause, wait: { for: 10ms }, after: [rows] }
  - { id: broken, sql: "select 1 / (n - 1) as q from generate_series(1, 2) n", into: never, retry: { attempts: 1 } }
  - { id: idle, wait: { for: 1ms }, after: [broken] }
  - { id: nested, pipeline: { name: judged-child } }
  - { id: items, map: { over: [1, 2], steps: [{ id: inner, map: { over: [1, 2, 3], as: part, steps: [{ id: rest, wait: { for: 1ms } }] } }] } }
  - { id: publish, load: { from: judged, connection: warehouse, table: public.${table}, mode: append }, after: [pause] }`
const steps: Made[] = [
  { id: 'rows', yaml: '', dataset: 'judged', expect: () => succeeded(rows) },
  { id: 'pause', yaml: '', expect: () => ({ state: 'succeeded' }) },
  { id: 'broken', yaml: '', expect: () => ({ state: 'failed' }) },
  { id: 'idle', yaml: '', expect: () => ({ state: 'succeeded' }) },
  { id: 'nested', yaml: '', expect: () => ({ state: 'succeeded', output: { state: 'succeeded' } }) },
  {
    id: 'items',
    yaml: '',
    expect: () => ({
      state: 'succeeded',
      items: { items: { succeeded: 2 }, 'items.inner': { succeeded: 6 } },
    }),
  },
  {
    id: 'publish',
    yaml: '',
    expect: (model) => ({ state: 'succeeded', loads: { table, mode: 'append', rows: model.rows('judged') } }),
  },
]
const child: Made[] = [{ id: 'inner', yaml: '', expect: () => ({ state: 'succeeded' }) }]

let here: World
let acme: Tenant
let owner: pg.Pool
let warehouse: pg.Pool
let runId: string
let childRun: string

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = pool(inject('ownerUrl'))
  warehouse = pool(inject('warehouse').url)
  await connect(acme, 'postgres', 'warehouse')
  await pipeline(acme, 'steps: [{ id: inner, wait: { for: 1ms } }]', 'judged-child')
  runId = await start(acme, await pipeline(acme, yaml))
  expect((await end(acme, runId)).state).toBe('failed')
  const children = await owner.query<{ id: string }>('select id from runs where parent_run_id = $1', [runId])
  childRun = children.rows[0]?.id ?? ''
  // The last messages go away when they have been delivered.
  await vi.waitFor(async () => {
    const { rows: left } = await owner.query(`select from outbox where payload->>'runId' in ($1, $2)`, [
      runId,
      childRun,
    ])
    expect(left).toEqual([])
  }, 10_000)
})
afterAll(async () => {
  await Promise.all([owner.end(), warehouse.end()])
  await here.close()
})

/** What the judge says of the finished runs while a change to them stands. */
async function after(change: string, by: pg.Pool = owner, children = [childRun]) {
  const changed = await by.connect()
  try {
    await changed.query('begin')
    await changed.query(change.replaceAll('$run', `'${runId}'`))
    const { words: _, ...counts } = await judge(
      by === owner ? changed : owner,
      by === warehouse ? changed : warehouse,
      [
        { steps, runIds: [runId] },
        { steps: child, runIds: children, startedBy: 'nested' },
      ],
      (text) => text,
    )
    return counts
  } finally {
    await changed.query('rollback')
    changed.release()
  }
}

const right = { lost: 0, doubled: 0, stuck: 0, leaked: 0 }
const tell = (type: string, key: string) =>
  `with more as (update runs set events = events + 1 where id = $run returning tenant_id, id, events)
   insert into run_events (tenant_id, run_id, seq, type, step_key, actor) select tenant_id, id, events, '${type}', ${key}, 'x' from more`

const corruptions: [what: string, change: string, fault: Fault][] = [
  [
    'a step that still runs',
    `update steps set state = 'running' where run_id = $run and key = 'pause'`,
    'stuck',
  ],
  ['a run that is not over', `update runs set finished_at = null where id = $run`, 'stuck'],
  ['a run that is queued', `update runs set state = 'queued', finished_at = null where id = $run`, 'stuck'],
  ['a lease', `update steps set lease_until = now() where run_id = $run and key = 'pause'`, 'leaked'],
  ['an answer awaited', `update steps set answer_key = 'x' where run_id = $run and key = 'nested'`, 'leaked'],
  ['a step that is counted as open', `update runs set unfinished = 1 where id = $run`, 'leaked'],
  [
    'a message',
    `insert into outbox (tenant_id, kind, payload, send_after) select tenant_id, 'run', jsonb_build_object('runId', id), now() from runs where id = $run`,
    'leaked',
  ],
  ['a half-built version', `update dataset_versions set state = 'building' where run_id = $run`, 'leaked'],
  ['an event that is missing', `delete from run_events where run_id = $run and seq = 3`, 'lost'],
  [
    'an end that nobody was told',
    `with gone as (delete from run_events where run_id = $run and step_key = 'pause' and type = 'step.succeeded' returning seq),
       counted as (update runs set events = events - 1 where id = $run)
     update run_events set seq = 1 - run_events.seq from gone where run_id = $run and run_events.seq > gone.seq;
     update run_events set seq = -seq where run_id = $run and seq < 0`,
    'lost',
  ],
  ['an end that was told twice', tell('step.succeeded', `'pause'`), 'doubled'],
  ['a move that there is not', tell('run.running', 'null'), 'lost'],
  ['a run with another outcome', `update runs set state = 'succeeded' where id = $run`, 'lost'],
  [
    'a step that was skipped',
    `update steps set state = 'skipped' where run_id = $run and key = 'pause'`,
    'lost',
  ],
  [
    'a step that was not skipped',
    `update steps set state = 'succeeded' where run_id = $run and key = 'idle'`,
    'lost',
  ],
  ['a step that is gone', `delete from steps where run_id = $run and key = 'idle'`, 'lost'],
  [
    'a rule that says otherwise',
    `update steps set run_when = 'always' where run_id = $run and key = 'idle'`,
    'lost',
  ],
  [
    'rows counted that are not there',
    `update steps set rows_out = 51 where run_id = $run and key = 'rows'`,
    'doubled',
  ],
  [
    'rows that are not counted',
    `update steps set rows_out = 49 where run_id = $run and key = 'rows'`,
    'lost',
  ],
  ['an output that is gone', `update steps set output = null where run_id = $run and key = 'nested'`, 'lost'],
  [
    'an item that is gone',
    `delete from steps where run_id = $run and key = 'items.inner' and map_index = 200002`,
    'lost',
  ],
  [
    'an item that is there twice',
    `insert into steps (tenant_id, run_id, key, map_index, kind, position, needs, run_when, state)
     select tenant_id, run_id, key, 4, kind, position, needs, run_when, state from steps
     where run_id = $run and key = 'items' and map_index = 2`,
    'doubled',
  ],
  [
    'an item that failed unseen',
    `update steps set state = 'failed' where run_id = $run and key = 'items.inner' and map_index = 100003`,
    'lost',
  ],
  [
    'an item of an item that still waits',
    `update steps set state = 'waiting' where run_id = $run and key = 'items.inner' and map_index = 100001`,
    'stuck',
  ],
  ['a failure among no dead letters', `delete from dead_letters where run_id = $run`, 'lost'],
  ['a version that is gone', `delete from dataset_versions where run_id = $run`, 'lost'],
  [
    'a version of a failed step',
    `update dataset_versions set step_key = 'broken' where run_id = $run`,
    'doubled',
  ],
]

const version = async () =>
  (await owner.query<{ id: string }>('select id from dataset_versions where run_id = $1', [runId])).rows[0]
    ?.id

describe('the judge of chaos', () => {
  it('finds nothing wrong with runs that went well', async () => {
    expect(await after('select 1')).toEqual(right)
  })

  it.each(corruptions)('sees %s', async (_, change, fault) => {
    expect((await after(change))[fault]).toBeGreaterThan(0)
  })

  it('sees a row that is missing, there twice, or another one, in a dataset', async () => {
    const id = await version()
    expect((await after(`delete from data."${id}" where id = 7`)).lost).toBeGreaterThan(0)
    expect((await after(`insert into data."${id}" (id) values (7)`)).doubled).toBeGreaterThan(0)
    expect((await after(`update data."${id}" set id = 80 where id = 7`)).lost).toBeGreaterThan(0)
  })

  it('sees a row that is missing, there twice, or a load done twice or never, in a destination', async () => {
    const see = (change: string) => after(change, warehouse)
    expect((await see(`delete from public.${table} where id = 7`)).lost).toBeGreaterThan(0)
    expect((await see(`insert into public.${table} (id) values (7)`)).doubled).toBeGreaterThan(0)
    expect((await see(`insert into public.${table} select * from public.${table}`)).doubled).toBeGreaterThan(
      0,
    )
    expect((await see(`drop table public.${table}`)).lost).toBeGreaterThan(0)
  })

  it('sees a run of another pipeline that was started twice, or not', async () => {
    expect((await after('select 1', owner, [childRun, childRun])).doubled).toBeGreaterThan(0)
    expect((await after('select 1', owner, [])).lost).toBeGreaterThan(0)
  })

  it('sees what a stage is left with', async () => {
    const kept = await owner.connect()
    const stray = await client(inject('warehouse').url)
    try {
      const name = `_weir_${table}`
      await stray.query('begin')
      await stray.query(`create table public.${name} (id integer)`)
      await kept.query('begin')
      const orphan = `dsv_${table}`
      await kept.query(`create table data."${orphan}" (id integer)`)
      const changes = [
        `select pg_advisory_xact_lock(7)`,
        `update steps set lease_until = now() where run_id = '${runId}' and key = 'pause'`,
        `insert into outbox (tenant_id, kind, payload, send_after) values ('${acme.id}', 'connection.drop_stage', '{"table": "mine"}', now())`,
        `update runs set finished_at = null where id = '${childRun}'`,
        `update dataset_versions set state = 'building' where run_id = '${runId}'`,
      ]
      for (const change of changes) await kept.query(change)
      const found = await leaksOf(kept, stray, 0)
      for (const words of [
        'transactions left open',
        'advisory locks',
        `leases: ${runId} pause`,
        'connection.drop_stage {"table": "mine"}',
        `runs that are not over: ${childRun}`,
        `half-built versions: ${await version()}`,
        `tables of no version: ${orphan}`,
        `stages in the warehouse: ${name}`,
      ])
        expect(found.some((each) => each.includes(words))).toBe(true)
    } finally {
      await kept.query('rollback')
      kept.release()
      await stray.end()
    }
  })
})
