import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { connect, finished, pipeline, upload, warehouseTable } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let warehouse: pg.Client

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  warehouse = new pg.Client({ connectionString: inject('warehouse').url })
  await warehouse.connect()
})
afterAll(async () => {
  await warehouse.end()
  await here.close()
})

const orders = ['id,city,amount', '1,Berlin,10.5', '2,Paris,', '3,Berlin,7', '4,Rome,x9', '5,Oslo,3'].join(
  '\n',
)

describe('a run', () => {
  it('moves rows from a file through every kind of step into a warehouse, and says how many', async () => {
    const table = warehouseTable()
    const files = await connect(acme, 'files')
    await connect(acme, 'postgres', 'warehouse')
    await upload(acme, files, 'orders.csv', orders)
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
steps:
  - id: read
    extract: { connection: files, stream: orders.csv }
    into: raw
  - id: clean
    from: raw
    transform:
      - try_cast: { amount: decimal }
      - filter: { column: city, is: not_null }
    into: orders
  - id: checked
    check: orders
    rules:
      - { rule: not_null, column: amount, onFail: reject }
      - { rule: row_count, min: 1 }
  - id: by_city
    sql: select city, count(*) as orders, sum(amount) as total from orders group by city
    into: cities
  - id: publish
    load: { from: cities, connection: warehouse, table: public.${table}, mode: upsert, key: [city] }
`,
      ),
    )
    expect(
      run.steps.map((step) => [
        step.key,
        step.state,
        step.rowsIn,
        step.rowsOut,
        step.rowsRejected,
        step.error?.message,
      ]),
    ).toEqual([
      ['read', 'succeeded', 5, 5, 0, undefined],
      ['clean', 'succeeded', 5, 5, 0, undefined],
      ['checked', 'succeeded', 5, 3, 2, undefined],
      ['by_city', 'succeeded', 3, 2, 0, undefined],
      ['publish', 'succeeded', 2, 2, 0, undefined],
    ])
    expect(run.state).toBe('succeeded')
    const { rows } = await warehouse.query(`select city, orders, total from ${table} order by city`)
    expect(rows).toEqual([
      { city: 'Berlin', orders: '2', total: '17.5' },
      { city: 'Oslo', orders: '1', total: '3' },
    ])
  })
})
