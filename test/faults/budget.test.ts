import { describe, expect, inject as given, it } from 'vitest'
import { happened, leftovers, nothing, tableOf, tally, tallyOf } from '#test/support/ledger.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { connect, finished, pipeline, upload, warehouseTable } from '#test/support/pipeline.ts'
import { attempts } from '#test/support/qstash.ts'

const rows = 240_000
const here = await fileWorld((services) => ({ ...services, deliveryLimits: { wallMs: 60_000, calls: 4 } }))
const acme = await here.tenant()
const owner = await fileOwner()
const warehouse = await fileOwner(given('warehouse').url)
const files = await connect(acme, 'files')
await connect(acme, 'postgres', 'warehouse')
await upload(acme, files, 'many.parquet', manyRows(rows, 20_000))

describe('a delivery whose budget is spent', () => {
  it('hands on to the next at a checkpoint, and between steps, and no attempt is counted', async () => {
    const table = warehouseTable()
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
steps:
  - { id: read, extract: { connection: files, stream: many.parquet }, into: in_pieces }
  - { id: publish, load: { from: in_pieces, connection: warehouse, table: public.${table}, mode: append } }
  - { id: one, sql: select count(*) as n from in_pieces, into: one }
  - { id: two, sql: select n from one, into: two }
  - { id: three, sql: select n from two, into: three }
  - { id: four, sql: select n from three, into: four }
  - { id: five, sql: select n from four, into: five }
  - { id: six, sql: select n from five, into: six }`,
      ),
    )
    expect(run.steps.map(({ key, state, attempt }) => [key, state, attempt])).toEqual(
      ['read', 'publish', 'one', 'two', 'three', 'four', 'five', 'six'].map((key) => [key, 'succeeded', 1]),
    )
    expect(run.steps[0]).toMatchObject({ rowsIn: rows, rowsOut: rows })
    expect(await tally(owner, await tableOf(owner, acme.id, 'in_pieces'))).toEqual(tallyOf(rows))
    expect(await tally(warehouse, table)).toEqual(tallyOf(rows))

    const continued = {
      read: (await happened(owner, run.id, 'read'))['step.continued'] ?? 0,
      publish: (await happened(owner, run.id, 'publish'))['step.continued'] ?? 0,
    }
    expect(continued.read).toBeGreaterThanOrEqual(3)
    expect(continued.publish).toBeGreaterThanOrEqual(1)
    const deliveries = (await attempts(given('env'), here.url)).filter(
      ({ payload }) => payload['runId'] === run.id,
    )
    expect(deliveries.length).toBeGreaterThan(continued.read + continued.publish)
    expect(await leftovers(owner, run.id)).toEqual(nothing)
  })
})
