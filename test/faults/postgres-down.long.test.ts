import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres, type Postgres } from '#local/postgres.ts'
import {
  ageOutbox,
  leftovers,
  nothing,
  runState,
  stepRow,
  tableOf,
  tally,
  tallyOf,
} from '#test/support/ledger.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { client, ownServices, type OwnServices } from '#test/support/own-stack.ts'
import { connect, pipeline, readRun, start, upload, warehouseTable } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const rows = 320_000

let services: OwnServices
let postgres: Postgres
let here: World
let acme: Tenant
let owner: pg.Client

beforeAll(async () => {
  services = await ownServices()
  postgres = services.parts.postgres
  owner = services.owner
  here = await world(undefined, services.env)
  acme = await here.tenant()
  const files = await connect(acme, 'files')
  await connect(acme, 'postgres', 'warehouse', services.warehouse)
  await upload(acme, files, 'many.parquet', manyRows(rows, 20_000))
})
afterAll(async () => {
  await here?.close()
  await owner?.end()
  await postgres?.stop()
  await services?.stop()
})

async function outage(ms: number): Promise<void> {
  await postgres.kill()
  await pause(ms)
  postgres = await startPostgres({ dir: join(services.dir, 'postgres'), port: postgres.port })
  owner = await client(services.ownerUrl)
}

const middleOf = (runId: string, step: string) =>
  until(`${step} to be in the middle`, async () => {
    const { state, rows_out: out } = await stepRow(owner, runId, step)
    return state === 'running' && out > 0 && out < rows ? out : undefined
  })

async function ends(runId: string, ...steps: string[]): Promise<void> {
  await until('the run to end', async () => /succeeded|failed/.test(await runState(owner, runId)), 40_000)
  expect((await readRun(acme, runId)).steps).toMatchObject(
    steps.map((key) => ({ key, state: 'succeeded', rowsIn: rows, rowsOut: rows })),
  )
  // A message that could not be sent then is sent by the tick.
  await until('the last wake-up to be consumed', async () => {
    await ageOutbox(owner, acme.id)
    await tick(services.env, here.url)
    return (await leftovers(owner, runId)).wakes === 0
  })
  expect(await leftovers(owner, runId)).toEqual(nothing)
}

const read = `retry: { attempts: 5, first: 500ms, jitter: false }
steps:
  - { id: read, extract: { connection: files, stream: many.parquet }, into: many }`

describe('a database that goes away in the middle of a run', () => {
  it('for five seconds, makes the extract late and changes nothing else', async () => {
    const runId = await start(acme, await pipeline(acme, read))
    await middleOf(runId, 'read')
    await outage(5_000)
    await ends(runId, 'read')
    expect(await tally(owner, await tableOf(owner, acme.id, 'many'))).toEqual(tallyOf(rows))
  })

  it('together with the warehouse that is on its server, loses what was staged and no row', async () => {
    const table = warehouseTable()
    const publish = `{ from: many, connection: warehouse, table: public.${table}, mode: append }`
    const runId = await start(acme, await pipeline(acme, `${read}\n  - { id: publish, load: ${publish} }`))
    await middleOf(runId, 'publish')
    await outage(0)
    await ends(runId, 'read', 'publish')
    const warehouse = await client(services.warehouse.url)
    expect(await tally(warehouse, table)).toEqual(tallyOf(rows))
    await warehouse.end()
  })
})
