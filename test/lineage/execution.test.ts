import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { loadParser } from '#src/lineage/sql.ts'
import { grammar } from '#test/support/grammar.ts'
import { ordinary } from './ordinary.ts'

const parser = loadParser(await grammar())
const schema = `lineage_${crypto.randomUUID().slice(0, 8)}`
let client: pg.Client

/** The tenant's datasets, in a schema that no name reaches by itself. */
const tables: Record<string, string> = {
  flights: 'date timestamp, delay int4, distance int4, origin text, destination text, iata text',
  old_flights: 'date timestamp, delay int4, distance int4, origin text, destination text, iata text',
  airports: 'iata text, name text, city text',
  docs: 'data jsonb',
  'Odd Name': '"Name" text, "a""b" text',
  x: 'n int4',
  y: 'n int4',
}

beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('ownerUrl') })
  await client.connect()
  await client.query(`create schema ${schema}`)
  for (const [name, columns] of Object.entries(tables))
    await client.query(`create table ${schema}."${name}" (${columns})`)
  await client.query(`insert into ${schema}.flights values ('2001-01-01', 5, 100, 'LAX', 'SFO', 'LAX')`)
  await client.query(`set search_path = ''`)
})
afterAll(async () => {
  await client.query(`drop schema ${schema} cascade`)
  await client.end()
})

/** As the engine runs it: each dataset's name stands for its table, and the text is inside parentheses. */
async function run(sql: string, values: unknown[] = []) {
  const checked = await parser.checkSelect(sql, { least: { type: 'integer' }, since: { type: 'date' } })
  if (!checked.ok) throw new Error(JSON.stringify(checked.fields))
  const names = checked.tables.map(
    (name) => `"${name}" as not materialized (select * from ${schema}."${name}")`,
  )
  const text = `${names.length > 0 ? `with ${names.join(', ')} ` : ''}select * from (${checked.text}\n) asked`
  return client.query(text, values)
}

describe('a statement that is taken', () => {
  it.each(ordinary)('runs, with no name resolved but by its datasets: %s', async (sql) => {
    await expect(run(sql)).resolves.toHaveProperty('rows')
  })

  it('is given its parameters as typed values', async () => {
    const { rows } = await run(
      'select origin from flights where delay >= ${params.least} and date >= ${params.since} -- all',
      ['5', '2001-01-01'],
    )
    expect(rows).toEqual([{ origin: 'LAX' }])
  })
})

it('never takes a field’s name for one of PostgreSQL’s functions', async () => {
  const { rows } = await client.query(
    `select proname from pg_catalog.pg_proc where proname ~ '^(key|value|ordinality|f[0-9]{1,3})$'`,
  )
  expect(rows).toEqual([])
})

it('allows no function that reads a table, a file, a setting or another session, or that writes', async () => {
  const { allowedFunctions } = await import('#src/lineage/allowed.ts')
  // What is volatile may write or look outside.
  const { rows } = await client.query(
    `select distinct proname from pg_catalog.pg_proc where pronamespace = 'pg_catalog'::pg_catalog.regnamespace and provolatile = 'v' and proname = any ($1) order by 1`,
    [[...allowedFunctions]],
  )
  expect(rows.map((row: { proname: string }) => row.proname)).toEqual(['gen_random_uuid'])
})
