import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  happened,
  leftovers,
  nothing,
  runState,
  stepRow,
  tableOf,
  tally,
  tallyOf,
  ageOutbox,
} from '#test/support/ledger.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { client, ownServices, ownWorker, type OwnServices, type OwnWorker } from '#test/support/own-stack.ts'
import { connect, pipeline, readRun, start, upload, warehouseTable } from '#test/support/pipeline.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'

const rows = 320_000
const groupRows = 20_000

let services: OwnServices
let worker: OwnWorker
let acme: Tenant

beforeAll(async () => {
  services = await ownServices()
  worker = await ownWorker({ env: services.env, dir: services.dir })
  acme = await newTenant(worker.url, (request) => fetch(request))
  const files = await connect(acme, 'files')
  await connect(acme, 'postgres', 'warehouse', services.warehouse)
  await upload(acme, files, 'many.parquet', manyRows(rows, groupRows))
})
afterAll(async () => {
  await worker?.stop()
  await services?.stop()
})

const read = `
  - id: read
    extract: { connection: files, stream: many.parquet }
    into: many`

/**
 * Kills the Worker while it waits for the step's row, which this holds: what is committed up to then is kept, the
 * transaction under way goes on or is lost, as after a power cut.
 */
async function killAt(runId: string, step: string, isMiddle: (rowsOut: number) => boolean): Promise<number> {
  const holder = await client(services.ownerUrl)
  try {
    const rowsOut = await until(`${step} to be in the middle`, async () => {
      if (!isMiddle((await stepRow(holder, runId, step)).rows_out)) return undefined
      await holder.query('begin')
      const held = await stepRow(holder, runId, step, 'for update')
      if (held.state !== 'running') throw new Error(`${step} was ${held.state} before it could be killed`)
      return held.rows_out
    })
    await worker.kill()
    return rowsOut
  } finally {
    await holder.end()
    await worker.restart()
  }
}

async function finishes(runId: string): Promise<void> {
  await until('the run to end', async () => (await runState(services.owner, runId)) === 'succeeded', 30_000)
  // A message that could not be sent then is sent by the tick.
  await until('the last wake-up to be consumed', async () => {
    await ageOutbox(services.owner, acme.id)
    await tick(services.env, worker.url)
    return (await leftovers(services.owner, runId)).wakes === 0
  })
  expect(await leftovers(services.owner, runId)).toEqual(nothing)
}

/** A read that began anew would have made another. */
async function versionsOf(runId: string): Promise<string[]> {
  const { rows: found } = await services.owner.query<{ id: string }>(
    'select id from dataset_versions where run_id = $1',
    [runId],
  )
  return found.map(({ id }) => id)
}

describe('a Worker that is killed', () => {
  it('in the middle of an extract, goes on after the last batch that was committed', async () => {
    const runId = await start(acme, await pipeline(acme, `steps:${read}`))
    const committed = await killAt(runId, 'read', (out) => out >= 3 * groupRows && out < rows - 3 * groupRows)
    expect(committed).toBeGreaterThan(0)
    expect(committed).toBeLessThan(rows)
    const begun = await versionsOf(runId)
    expect(begun).toHaveLength(1)
    await finishes(runId)
    expect(await versionsOf(runId)).toEqual(begun)
    expect(await tally(services.owner, await tableOf(services.owner, acme.id, 'many'))).toEqual(tallyOf(rows))
    const [step] = (await readRun(acme, runId)).steps
    expect(step).toMatchObject({ state: 'succeeded', rowsIn: rows, rowsOut: rows, attempt: 2 })
    expect(await happened(services.owner, runId, 'read')).toEqual({ 'step.running': 2, 'step.succeeded': 1 })
  })

  it('in the middle of a load, leaves every row in the warehouse exactly once', async () => {
    const table = warehouseTable()
    await services.warehouseDb.query(`create table ${table} (id integer, note text)`)
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `steps:${read}
  - id: publish
    load: { from: many, connection: warehouse, table: public.${table}, mode: append }`,
      ),
    )
    const staged = await killAt(runId, 'publish', (out) => out > 0 && out < rows)
    expect(staged).toBeGreaterThan(0)
    expect(staged).toBeLessThan(rows)
    expect(await tally(services.warehouseDb, table)).toEqual(tallyOf(0))
    await finishes(runId)
    expect(await tally(services.warehouseDb, table)).toEqual(tallyOf(rows))
    const publish = (await readRun(acme, runId)).steps[1]
    expect(publish).toMatchObject({ state: 'succeeded', rowsIn: rows, rowsOut: rows, attempt: 2 })
  })

  it('between two steps, and when one has just been claimed, does each of them once', async () => {
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `steps:
  - id: first
    sql: select n::int4 as id from generate_series(1, 1000) as n
    into: firsts
  - id: pause
    wait: { for: 1s }
    after: [first]
  - id: second
    sql: select id + 1000 as id from firsts
    into: seconds
    after: [pause]
  - id: all_of_them
    sql: select id from firsts union all select id from seconds
    into: both`,
      ),
    )
    await until('nothing to be running', async () => (await runState(services.owner, runId)) === 'waiting')
    await worker.kill()
    await worker.restart()

    // An uncommitted dataset of the same name holds the step up where it makes its table.
    const holder = new pg.Client({ connectionString: services.ownerUrl })
    await holder.connect()
    await holder.query('begin')
    await holder.query(`insert into datasets (tenant_id, id, name) values ($1, 'dst_held', 'both')`, [
      acme.id,
    ])
    await until(
      'the last step to be claimed',
      async () => (await stepRow(holder, runId, 'all_of_them')).state === 'running',
    )
    expect((await stepRow(holder, runId, 'second')).state).toBe('succeeded')
    await worker.kill()
    await holder.end()
    await worker.restart()

    await finishes(runId)
    expect(await tally(services.owner, await tableOf(services.owner, acme.id, 'both'))).toEqual(tallyOf(2000))
    const attempts = (await readRun(acme, runId)).steps.map(({ key, attempt }) => [key, attempt])
    expect(attempts).toEqual([
      ['first', 1],
      ['pause', 1],
      ['second', 1],
      ['all_of_them', 2],
    ])
  })
})
