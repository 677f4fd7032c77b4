import { neon, NeonDbError, type NeonQueryFunction, Pool } from '@neondatabase/serverless'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { http, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack
let sql: NeonQueryFunction<false, false>
let webSockets: Pool

beforeAll(async () => {
  stack = await startNeonStack()
  sql = http(stack)
  webSockets = new Pool({ connectionString: stack.url, max: 4 })
  await sql`create table items (id int primary key, name text not null unique, price numeric, data jsonb)`
})

afterAll(async () => {
  await webSockets.end()
  await stack.stop()
})

async function caught(promise: Promise<unknown>): Promise<NeonDbError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof NeonDbError) return error
  throw new Error('a NeonDbError was expected', { cause: error })
}

/** [statement, parameters], each with a result of another kind. */
const samples: [string, unknown[]][] = [
  ['select $1::int as int_num', [123]],
  ['select 123456789012345678::int8 as big', []],
  ['select 1.50::numeric as n, 1.5::float4 as f4, 1e300::float8 as f8', []],
  [`select 'NaN'::float8 as nan, 'Infinity'::float8 as inf, '-Infinity'::numeric as minus`, []],
  ['select null as nothing, true as yes, false as no', []],
  ['select $1 as str', ['quotes " and \\ and \n newline \t tab \u0001 control \u007f é 漢字 🙂']],
  ['select $1::text as long', ['x"\\y'.repeat(5000)]],
  ['select $1::jsonb as j, $2::json as k', [{ a: [1, null, 'x"'] }, '{"b" :  2}']],
  [`select now() - now() as i, date '2024-02-29' as d, time '12:34:56.789' as t`, []],
  [`select timestamptz '2024-02-29 12:34:56.789+02' as tz, timestamp '2024-02-29 12:34:56' as ts`, []],
  [`select 'infinity'::timestamptz as forever`, []],
  ['select $1::bytea as bytes', [Buffer.from([0, 1, 2, 255])]],
  [`select gen_random_uuid() is not null as u, '10.0.0.1'::inet as ip, int4range(1, 5) as r`, []],
  [
    `select $1::int[] as ints, $2::text[] as texts, '{{1,2},{3,NULL}}'::int[] as nested`,
    [
      [1, 2, 3],
      ['a"b', 'c,d', 'NULL'],
    ],
  ],
  [`select '[2:3]={7,8}'::int[] as bounds, '{}'::text[] as empty, array[true, null] as bools`, []],
  [`select 1 as a, 2 as a, 3 as "B c"`, []],
  ['select g from generate_series(1, 500) g', []],
  ['select 1 where false', []],
  ['', []],
  [`insert into items values (900, 'a', 1.5, '{}'), (901, 'b', null, null)`, []],
  ['update items set price = 2 where id >= $1 returning id, price', [900]],
  ['delete from items where id >= 900', []],
  ['create temp table gone (a int)', []],
  ['values (1, 2), (3, 4)', []],
  [`explain select 1`, []],
  ['show server_version', []],
]

describe('a single query over HTTP', () => {
  it.each(samples)('answers as the WebSocket does: %s', async (query, parameters) => {
    const client = await webSockets.connect()
    try {
      await client.query('begin')
      const viaSocket = await client.query(query, parameters)
      await client.query('rollback')
      const viaHttp = await sql.query(query, parameters, { fullResults: true })
      expect(viaHttp.rows).toEqual(viaSocket.rows)
      expect(viaHttp.rowCount).toEqual(viaSocket.rowCount)
      expect(viaHttp.command || null).toEqual(viaSocket.command)
      expect(viaHttp.fields).toEqual(viaSocket.fields.map((field) => ({ ...field })))
    } finally {
      client.release()
    }
  })

  it('answers as objects or arrays, in full or only the rows', async () => {
    const query = `select 'xyz' as str`
    expect(await sql.query(query)).toEqual([{ str: 'xyz' }])
    expect(await sql.query(query, [], { arrayMode: true })).toEqual([['xyz']])
    const full = await sql.query(query, [], { fullResults: true })
    expect(full).toMatchObject({ command: 'SELECT', rowCount: 1, rowAsArray: false, rows: [{ str: 'xyz' }] })
    expect(full.fields[0]).toMatchObject({ name: 'str', dataTypeID: 25 })
    const both = await neon(stack.url, { arrayMode: true, fullResults: true }).query(query)
    expect(both).toMatchObject({ rowAsArray: true, rows: [['xyz']] })
  })

  it('keeps columns of the same name in array mode', async () => {
    expect(await sql.query('select 1 as a, 2 as a', [], { arrayMode: true })).toEqual([[1, 2]])
  })

  it('parses with the types that are given', async () => {
    const types = { getTypeParser: () => (text: string) => `<${text}>` }
    expect(await sql.query('select 1 as a', [], { types })).toEqual([{ a: '<1>' }])
  })

  it('serves Pool.query when the driver sends it over HTTP', async () => {
    const viaFetch = new Pool({ connectionString: stack.url })
    const before = stack.gateway.stats.requests
    const { neonConfig } = await import('@neondatabase/serverless')
    neonConfig.poolQueryViaFetch = true
    try {
      expect((await viaFetch.query('select $1::int as one', [1])).rows).toEqual([{ one: 1 }])
      expect(stack.gateway.stats.requests).toBe(before + 1)
    } finally {
      neonConfig.poolQueryViaFetch = false
      await viaFetch.end()
    }
  })

  it('sends a parameter of 5 MB and gets it back', async () => {
    const large = 'ä"x'.repeat(1_250_000)
    const [row] = await sql`select ${large}::text as large`
    expect(row?.large === large).toBe(true)
  })

  it('takes 40,000 parameters', async () => {
    const ids = Array.from({ length: 40_000 }, (_, index) => index)
    const list = ids.map((id) => `$${id + 1}`).join(',')
    const [row] = await sql.query(
      `select count(*)::int as n from generate_series(0, 50000) g where g in (${list})`,
      ids,
    )
    expect(row).toEqual({ n: 40_000 })
  })

  it('serves 32 requests at once, more than it has connections', async () => {
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_, index) => sql`select ${index}::int as index, pg_sleep(0.05)`),
    )
    expect(answers.map(([row]) => row?.index)).toEqual(Array.from({ length: 32 }, (_, index) => index))
    const [row] =
      await sql`select count(*)::int as connections from pg_stat_activity where datname = 'postgres'
      and backend_type = 'client backend' and application_name = ''`
    expect(row?.connections).toBeLessThanOrEqual(24)
  })

  it('goes on working when the table under a known statement changes', async () => {
    await sql`create table changing (a int, b text)`
    await sql`insert into changing values (1, 'x')`
    const read = () => sql`select * from changing where a = ${1}`
    for (let time = 0; time < 12; time++) expect(await read()).toEqual([{ a: 1, b: 'x' }])
    await sql`alter table changing add c bool default true`
    for (let time = 0; time < 12; time++) expect(await read()).toEqual([{ a: 1, b: 'x', c: true }])
    await sql`drop table changing`
    expect((await caught(read())).code).toBe('42P01')
  })
})

describe('errors over HTTP', () => {
  it('have the same fields as over the WebSocket', async () => {
    await sql`insert into items values (1, 'taken')`
    for (const query of [
      'select 123 where x',
      `insert into items values (2, 'taken')`,
      'insert into items values (3, null)',
      'select 1/0',
      `do $$ begin raise exception 'own' using errcode = 'WR001', hint = 'h', detail = 'd'; end $$`,
      'select * from no_such_table',
    ]) {
      const viaHttp = await caught(sql.query(query))
      const client = await webSockets.connect()
      const viaSocket: unknown = await client.query(query).catch((error: unknown) => error)
      client.release()
      if (!(viaSocket instanceof Error)) throw new Error(`${query} did not fail`)
      expect(viaHttp.message).toBe(viaSocket.message)
      const known = Object.entries(viaSocket).filter(([name]) => name !== 'length' && name !== 'name')
      expect(known.length).toBeGreaterThan(10)
      expect(viaHttp).toMatchObject(Object.fromEntries(known))
    }
  })

  it('allow one statement a query', async () => {
    expect(await caught(sql.query('select 1; select 2'))).toMatchObject({
      code: '42601',
      message: 'cannot insert multiple commands into a prepared statement',
    })
  })

  it('tell too few and too many parameters', async () => {
    await expect(sql.query('select $1', [])).rejects.toThrow('bind message supplies 0 parameters')
    await expect(sql.query('select $1', [1, 2])).rejects.toThrow('bind message supplies 2 parameters')
  })

  it('refuse a wrong password, user and database', async () => {
    const bad = (from: string | RegExp, to: string) => caught(neon(stack.url.replace(from, to))`select 1`)
    expect((await bad('@', 'x@')).message).toBe('password authentication failed for user "postgres"')
    expect((await bad('//postgres', '//xpostgres')).message).toBe(
      'password authentication failed for user "xpostgres"',
    )
    expect(await bad(/postgres$/, 'nowhere')).toMatchObject({
      code: '3D000',
      message: 'database "nowhere" does not exist',
    })
    expect((await bad(/:[^:@]+@/, '@')).message).toBe('missing authentication credentials: required password')
  })

  it('refuse COPY, and the next request is served', async () => {
    for (const query of ['copy items from stdin', 'copy items to stdout']) {
      expect((await caught(sql.query(query))).message).toContain('COPY is not possible over HTTP')
      const [, failed] = await Promise.allSettled([
        sql`select 1`,
        sql.transaction([sql`select 1`, sql.query(query)]),
      ])
      expect(failed.status).toBe('rejected')
    }
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })
})

describe('giving up', () => {
  const running = async (what: string) => {
    const [row] =
      await sql`select count(*)::int as n from pg_stat_activity where query like ${`%${what}%`} and state = 'active' and pid <> pg_backend_pid()`
    return Number(row?.n)
  }
  const eventually = async (check: () => Promise<boolean>) => {
    for (let time = 0; time < 200; time++) {
      if (await check()) return true
      await new Promise((done) => setTimeout(done, 20))
    }
    return false
  }

  it('cancels the running statement when the client disconnects', async () => {
    const controller = new AbortController()
    const query = sql.query('select pg_sleep(30) as cancel_me', [], {
      fetchOptions: { signal: controller.signal },
    })
    const failed = caught(query)
    expect(await eventually(async () => (await running('cancel_me')) === 1)).toBe(true)
    controller.abort()
    expect((await failed).message).toContain('AbortError')
    expect(await eventually(async () => (await running('cancel_me')) === 0)).toBe(true)
  })

  it('cancels on a timeout but not before', async () => {
    const within = (ms: number) => ({ fetchOptions: { signal: AbortSignal.timeout(ms) } })
    await expect(sql.query('select pg_sleep(10)', [], within(100))).rejects.toThrow('TimeoutError')
    expect(await sql.query('select pg_sleep(0.1)', [], within(5000))).toEqual([{ pg_sleep: '' }])
  })

  it('rolls a cancelled batch back', async () => {
    const controller = new AbortController()
    const batch = sql.transaction(
      [sql`insert into items values (500, 'cancelled')`, sql`select pg_sleep(30) as cancel_batch`],
      { fetchOptions: { signal: controller.signal } },
    )
    const failed = caught(batch)
    expect(await eventually(async () => (await running('cancel_batch')) === 1)).toBe(true)
    controller.abort()
    expect((await failed).message).toContain('AbortError')
    expect(await eventually(async () => (await running('cancel_batch')) === 0)).toBe(true)
    expect(await sql`select 1 from items where id = 500`).toEqual([])
  })

  it('forgets requests that gave up while they waited for a connection', async () => {
    const controller = new AbortController()
    const options = { fetchOptions: { signal: controller.signal } }
    const many = Array.from({ length: 40 }, (_, index) =>
      sql
        .query(`insert into items select ${1000 + index}, 'w${index}' from pg_sleep(30)`, [], options)
        .catch(() => 'gave up'),
    )
    await new Promise((done) => setTimeout(done, 300))
    controller.abort()
    expect(await Promise.all(many)).toEqual(many.map(() => 'gave up'))
    expect(await sql`select count(*)::int as n from items where id >= 1000`).toEqual([{ n: 0 }])
  })
})
