import pg from 'pg'

import type { Stack } from '../stack.ts'
import type { Api, DatasetJson, QualityJson, RunJson } from './api.ts'

export type Check = { what: string; expected: string; found: string; ok: boolean }

/** Counted in the two files by a program of its own that knows nothing of Weir. */
const truth = {
  flights: 3_000_000,
  delayedTooMuch: 322,
  tooNear: 1_234,
  kept: 2_998_444,
  delayMinutes: 19_821_000,
  distanceMiles: 2_194_318_520,
  origins: 228,
  airports: 3_376,
  withoutCode: 1_336,
}

/** Compares what the API says, what the files hold, and what the two databases hold. */
export async function verify(
  stack: Stack,
  api: Api,
  run: RunJson,
  quality: readonly QualityJson[],
): Promise<Check[]> {
  const checks: Check[] = []
  const check = (what: string, expected: unknown, found: unknown) =>
    checks.push({
      what,
      expected: String(expected),
      found: String(found),
      ok: String(expected) === String(found),
    })
  const step = (key: string) => {
    const found = run.steps.find((one) => one.key === key)
    if (!found) throw new Error(`The run has no step ${key}.`)
    return found
  }
  const failed = (key: string, column: string, rule: string) =>
    quality.find((one) => one.stepKey === key && one.column === column && one.rule === rule)?.failed

  check('the run', 'succeeded', run.state)
  check('rows read from flights-3m.parquet', truth.flights, step('read_flights').rowsOut)
  check('rows read from airports.csv', truth.airports, step('read_airports').rowsOut)
  check('flights rejected', truth.delayedTooMuch + truth.tooNear, step('check_flights').rowsRejected)
  check('flights kept', truth.kept, step('check_flights').rowsOut)
  check(
    'flights out of range by delay',
    truth.delayedTooMuch,
    failed('check_flights', 'delay_minutes', 'between'),
  )
  check(
    'flights out of range by distance',
    truth.tooNear,
    failed('check_flights', 'distance_miles', 'between'),
  )
  check('airports rejected', truth.withoutCode, step('check_airports').rowsRejected)
  check('airports joined', truth.origins, step('delays_by_airport').rowsOut)

  await withClient(stack.warehouseUrl, async (warehouse) => {
    const one = async (sql: string) => (await warehouse.query<Record<string, string>>(sql)).rows[0] ?? {}
    const flights =
      await one(`select count(*) as n, sum(delay_minutes) as delay, sum(distance_miles) as distance,
      count(*) filter (where delay_minutes not between -60 and 720 or distance_miles < 50) as bad from flights`)
    check('rows of flights in the warehouse', step('load_flights').rowsOut, flights['n'])
    check('and in the file', truth.kept, flights['n'])
    check('minutes of delay in the warehouse', truth.delayMinutes, flights['delay'])
    check('miles flown in the warehouse', truth.distanceMiles, flights['distance'])
    check('bad flights in the warehouse', 0, flights['bad'])
    const delays = await one('select count(*) as n, sum(flights) as flights from delays_by_airport')
    check('rows of delays_by_airport in the warehouse', step('load_delays').rowsOut, delays['n'])
    check('flights counted in delays_by_airport', truth.kept, delays['flights'])
    const again = `select origin, count(*), sum(delay_minutes), round(avg(delay_minutes), 2), count(*) filter (where delay_minutes > 15)
      from flights group by origin`
    const loaded = 'select iata, flights, delay_minutes, mean_delay, late_flights from delays_by_airport'
    const { n } = await one(
      `select count(*) as n from ((${again} except ${loaded}) union all (${loaded} except ${again})) as differing`,
    )
    check('rows of delays_by_airport that PostgreSQL computes otherwise', 0, n)
  })

  const { items } = await api.get<{ items: DatasetJson[] }>('/v1/datasets?limit=100')
  await withClient(stack.ownerUrl, async (weir) => {
    for (const dataset of items) {
      const table = `data.${pg.escapeIdentifier(dataset.versionId ?? '')}`
      const { rows } = await weir.query<{ n: string }>(`select count(*) as n from ${table}`)
      check(`rows of dataset ${dataset.name} in Weir's own database`, dataset.rows, rows[0]?.n)
    }
  })
  check('datasets', 5, items.length)
  return checks
}

async function withClient(
  connectionString: string,
  use: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await use(client)
  } finally {
    await client.end()
  }
}
