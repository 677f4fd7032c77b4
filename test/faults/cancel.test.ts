import { describe, expect, inject as given, it } from 'vitest'
import { executing, leftovers, nothing, stepRow } from '#test/support/ledger.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { client } from '#test/support/own-stack.ts'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { connect, end, json, pipeline, start, upload } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'

const env = given('env')
const rows = 160_000
const schema = `s_${crypto.randomUUID().slice(0, 8)}`
const here = await fileWorld()
const acme = await here.tenant()
const owner = filePool()
const warehouse = filePool(given('warehouse').url)
const files = await connect(acme, 'files')
await connect(acme, 'postgres', 'warehouse')
await upload(acme, files, 'many.parquet', manyRows(rows, 20_000))

const cancel = async (runId: string) =>
  json<{ state: string }>(await acme.fetch(`/v1/runs/${runId}/cancel`, { method: 'POST' }), 202)

/** Cancels while a batch of the step waits for this to let go of the step's row. */
async function cancelAt(
  runId: string,
  step: string,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const holder = await client(given('ownerUrl'))
  try {
    await until(`${step} to be in the middle`, async () => (await stepRow(holder, runId, step)).rows_out > 0)
    await holder.query('begin')
    const { state, rows_out: out } = await stepRow(holder, runId, step, 'for update')
    expect([state, out < rows]).toEqual(['running', true])
    expect(await cancel(runId)).toMatchObject({ state: 'cancelling' })
    await meanwhile()
  } finally {
    await holder.end()
  }
}

const publishedBy = async (runId: string) =>
  (await owner.query(`select from dataset_versions where run_id = $1 and state = 'ready'`, [runId])).rowCount

describe.concurrent('a run that is cancelled', () => {
  it('in the middle of an extract, stops at the next batch and publishes nothing', async () => {
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `
steps:
  - { id: read, extract: { connection: files, stream: many.parquet }, into: cancelled_rows }
  - { id: after_it, sql: select count(*) as n from cancelled_rows, into: counted }`,
      ),
    )
    await cancelAt(runId, 'read')
    const run = await end(acme, runId)
    expect(run).toMatchObject({ state: 'cancelled', steps: [{ state: 'cancelled' }, { state: 'cancelled' }] })
    expect(run.steps[0]?.rowsOut).toBeLessThan(rows)
    expect(await publishedBy(runId)).toBe(0)
    const { rows: datasets } = await owner.query(
      `select current_version_id from datasets where tenant_id = $1 and name = 'cancelled_rows'`,
      [acme.id],
    )
    expect(datasets).toEqual([{ current_version_id: null }])
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })

  it('in the middle of a load, leaves the target as it was and nothing beside it', async () => {
    const table = `${schema}.target`
    await warehouse.query(
      `create schema ${schema}; create table ${table} (id integer, note text); insert into ${table} values (-1, 'was here')`,
    )
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `
steps:
  - { id: read, extract: { connection: files, stream: many.parquet }, into: loaded_rows }
  - { id: publish, load: { from: loaded_rows, connection: warehouse, table: ${table}, mode: overwrite } }`,
      ),
    )
    await cancelAt(runId, 'publish', async () => expect(await stages()).toBe(1))
    expect(await end(acme, runId)).toMatchObject({
      state: 'cancelled',
      steps: [{ state: 'succeeded' }, { state: 'cancelled' }],
    })
    expect((await warehouse.query(`select id, note from ${table}`)).rows).toEqual([
      { id: -1, note: 'was here' },
    ])
    await tick(env, here.url)
    await until('the stage to be dropped', async () => (await stages()) === 0)
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })

  it('in the middle of a statement, stops the statement', async () => {
    const runId = await start(
      acme,
      await pipeline(
        acme,
        `
steps:
  - id: slow
    sql: select count(*) as cancelled_count from generate_series(1, 1000000000) a, generate_series(1, 1000) b
    into: never`,
      ),
    )
    await until('the statement to run', async () => (await executing(owner, 'cancelled_count')) > 0)
    await cancel(runId)
    expect(await end(acme, runId)).toMatchObject({ state: 'cancelled', steps: [{ state: 'cancelled' }] })
    await until('the statement to stop', async () => (await executing(owner, 'cancelled_count')) === 0, 3_000)
    expect(await publishedBy(runId)).toBe(0)
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })

  it('while it waits, is over at once, and cancelling it again is a conflict', async () => {
    const runId = await start(acme, await pipeline(acme, 'steps:\n  - { id: rests, wait: { for: 3h } }'))
    await until('the run to wait', async () => (await stepRow(owner, runId, 'rests')).state === 'waiting')
    expect(await cancel(runId)).toEqual({ id: runId, state: 'cancelled' })
    await json(await acme.fetch(`/v1/runs/${runId}/cancel`, { method: 'POST' }), 409)
    expect(await leftovers(owner, runId)).toMatchObject({
      unfinished: 0,
      running: 0,
      leases: 0,
      eventGaps: 0,
    })
  })
})

/** The tables in which loads keep what has arrived; this file has a schema of its own for its one load. */
async function stages(): Promise<number> {
  const { rows: found } = await warehouse.query<{ n: number }>(
    `select count(*)::int as n from pg_class where relkind = 'r' and starts_with(relname, '_weir_') and relnamespace = $1::regnamespace`,
    [schema],
  )
  return found[0]?.n ?? 0
}
