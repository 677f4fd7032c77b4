import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import type { Batch } from '#src/domain/column.ts'
import type { ReadOptions, ReadState } from '#src/connectors/connector.ts'
import { discoverStreams } from '#src/connectors/postgres/discover.ts'
import { openReader } from '#src/connectors/postgres/read.ts'
import { PostgresSession } from '#src/connectors/postgres/session.ts'
import { here, startWarehouse, type Warehouse } from './warehouse.ts'

let warehouse: Warehouse
beforeAll(async () => {
  warehouse = await startWarehouse()
})
afterAll(() => warehouse.stop())
beforeEach(() =>
  warehouse.sql(
    'drop schema if exists s cascade; create schema s authorization weir; set role weir; reset role',
  ),
)

type Item = { batch: Batch; state: ReadState }

async function read(options: Omit<ReadOptions, 'signal'>, extra: { pageRows?: number } = {}) {
  const reader = await openReader(
    warehouse.connection,
    { ...options, signal: AbortSignal.timeout(50_000) },
    { ...here, ...extra },
  )
  try {
    const items: Item[] = []
    for await (const item of reader.batches) items.push(item)
    return {
      schema: reader.schema,
      resumable: reader.resumable,
      items,
      rows: items.flatMap(({ batch }) => rowsOf(batch)),
    }
  } finally {
    await reader.close()
  }
}

function rowsOf({ rows, columns }: Batch): unknown[][] {
  return Array.from({ length: rows }, (_, i) =>
    columns.map(({ type, values, nulls }) =>
      nulls?.[i] === 1 ? null : type === 'boolean' ? values[i] === 1 : values[i],
    ),
  )
}

/** As the weir user, so that it owns what it reads. */
const sql = (text: string) => warehouse.sql(`set role weir; ${text}`)

describe('discover', () => {
  it('lists tables and views with their columns, keys and sizes, and nothing of the server', async () => {
    await sql(`
      create type s.mood as enum ('sad', 'ok');
      create domain s.email as text;
      create table s.people (id int8 primary key, name varchar(20) not null, mood s.mood, born date, address s.email, tags text[], doc json);
      insert into s.people select i, 'n' from generate_series(1, 100) i;
      analyze s.people;
      create view s.grown as select id, born from s.people;
      create table s.pairs (b int2 not null, a timestamptz not null, x float4, unique (a, b));
      create table s.parts (id int4) partition by range (id);
      create table s.parts_1 partition of s.parts for values from (0) to (10);
      create table s."_weir_left_over" ();
      create table s."odd.Name ""x""" ("Col umn" numeric(10,2))`)
    await warehouse.sql('create table s.hidden (id int4)')
    const session = await PostgresSession.open(warehouse.connection, here)
    const streams = await discoverStreams(session)
    await session.close()
    expect(streams).toEqual([
      {
        name: 's.grown',
        columns: [
          { name: 'id', type: 'bigint', nullable: true },
          { name: 'born', type: 'date', nullable: true },
        ],
      },
      { name: 's."odd.Name ""x"""', columns: [{ name: 'Col umn', type: 'decimal', nullable: true }] },
      {
        name: 's.pairs',
        key: ['a', 'b'],
        columns: [
          { name: 'b', type: 'integer', nullable: false },
          { name: 'a', type: 'timestamptz', nullable: false },
          { name: 'x', type: 'double', nullable: true },
        ],
      },
      { name: 's.parts', columns: [{ name: 'id', type: 'integer', nullable: true }] },
      {
        name: 's.people',
        key: ['id'],
        rowEstimate: 100,
        columns: [
          { name: 'id', type: 'bigint', nullable: false },
          { name: 'name', type: 'text', nullable: false },
          { name: 'mood', type: 'text', nullable: true },
          { name: 'born', type: 'date', nullable: true },
          { name: 'address', type: 'text', nullable: true },
          { name: 'tags', type: 'text', nullable: true },
          { name: 'doc', type: 'json', nullable: true },
        ],
      },
    ])
  })
})

describe('a full read', () => {
  it('brings every type as a batch holds it', async () => {
    await sql(`
      create type s.mood as enum ('sad', 'ok');
      create table s.kinds (id int4 primary key, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, t text, c char(4), v varchar,
        d date, ts timestamp, tz timestamptz, j json, jb jsonb, u uuid, m s.mood, a int4[], iv interval, by bytea);
      insert into s.kinds values
        (1, true, -3, -9223372036854775808, 1.5, 'NaN', 12345678901234567890.123456789, 'grün 🐘 ' || repeat('x', 300), 'ab', E'\\ufeffbom',
         '1969-12-31', '1999-12-31 23:59:59.999999', '2020-02-29 12:00:00.000001+02', '{"a": 1}', '{"a":1}',
         '00000000-0000-0000-0000-000000000001', 'ok', '{1,2}', '1 day 2 hours', '\\x00ff'),
        (2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
        (3, false, 3, 9223372036854775807, -0.25, '-Infinity', 'NaN', '', '', '', '4713-01-01 BC', '0001-01-01', '294240-12-31 00:00:00+00', 'null', '[]',
         null, 'sad', '{}', '-1 second', '')`)
    const [far] = await sql(
      `select (extract(epoch from tz) * 1000000)::int8::text as micros from s.kinds where id = 3`,
    )
    const { schema, rows, resumable } = await read({ stream: 's.kinds' })
    expect(resumable).toBe(true)
    expect(schema.map(({ type }) => type).join(' ')).toBe(
      'integer boolean integer bigint double double decimal text text text date timestamp timestamptz json json text text text text text',
    )
    const micros = (iso: string) => BigInt(Date.parse(iso)) * 1000n
    expect(rows).toEqual([
      [
        1,
        true,
        -3,
        -(2n ** 63n),
        1.5,
        NaN,
        '12345678901234567890.123456789',
        `grün 🐘 ${'x'.repeat(300)}`,
        'ab',
        '\ufeffbom',
        -1,
        micros('1999-12-31T23:59:59.999Z') + 999n,
        micros('2020-02-29T10:00:00Z') + 1n,
        '{"a": 1}',
        '{"a": 1}',
        '00000000-0000-0000-0000-000000000001',
        'ok',
        '{1,2}',
        'P1DT2H',
        '\\x00ff',
      ],
      [2, ...Array.from({ length: 19 }, () => null)],
      [
        3,
        false,
        3,
        2n ** 63n - 1n,
        -0.25,
        -Infinity,
        'NaN',
        '',
        '',
        '',
        Date.UTC(-4712, 0, 1) / 86_400_000,
        micros('0001-01-01T00:00:00Z'),
        BigInt(String(far?.['micros'])),
        'null',
        '[]',
        null,
        'sad',
        '{}',
        'PT-1S',
        '\\x',
      ],
    ])
  })

  it('resumes exactly behind every item, with a key of several columns in any order', async () => {
    await sql(`
      create table s.keyed (n int4, at timestamp(3), "Te xt" varchar(10), x float8, primary key ("Te xt", at));
      insert into s.keyed select i, '2020-01-01'::timestamp + (i % 7) * interval '1.5 hours', 'k''\\' || chr(65 + i % 50) || i / 350, random()
        from generate_series(1, 20000) i on conflict do nothing`)
    const whole = await read({ stream: 's.keyed' }, { pageRows: 60 })
    const [counted] = await warehouse.sql('select count(*)::int as n from s.keyed')
    expect(whole.rows).toHaveLength(Number(counted?.['n']))
    expect(whole.items.length).toBeGreaterThan(20)
    for (const at of [0, 7, whole.items.length - 1]) {
      const state = JSON.parse(JSON.stringify(whole.items[at]?.state)) as ReadState
      const rest = await read({ stream: 's.keyed', state }, { pageRows: 300 })
      expect(rest.rows).toEqual(whole.items.slice(at + 1).flatMap(({ batch }) => rowsOf(batch)))
    }
  })

  it('reads selected columns in their order, the key left out, and says how many rows it has read', async () => {
    await sql(
      `create table s.t (id int4 primary key, a text, b int8); insert into s.t select i, 'a' || i, i * 2 from generate_series(1, 70000) i`,
    )
    const { schema, items, rows } = await read({ stream: 's.t', columns: ['b', 'a'] })
    expect(schema).toEqual([
      { name: 'b', type: 'bigint', nullable: true },
      { name: 'a', type: 'text', nullable: true },
    ])
    expect(rows).toHaveLength(70_000)
    expect(rows[69_999]).toEqual([140_000n, 'a70000'])
    expect(items.map(({ state }) => state['rows'])).toEqual([32_768, 65_536, 70_000])
  })

  it('reads a table without a key whole, and says that it cannot resume', async () => {
    await sql('create table s.t (a int4); insert into s.t select i from generate_series(1, 70000) i')
    const first = await read({ stream: 's.t' })
    expect(first.resumable).toBe(false)
    expect(first.rows).toHaveLength(70_000)
    const again = await read({ stream: 's.t', state: first.items[1]?.state ?? {} })
    expect(again.rows).toHaveLength(70_000)
    expect(again.items.at(-1)?.state).toEqual({ rows: 70_000 })
  })

  it('gives small batches of large rows', async () => {
    await sql(
      `create table s.t (id int4 primary key, a text); insert into s.t select i, repeat('x', 1000000) from generate_series(1, 20) i`,
    )
    const { items, rows } = await read({ stream: 's.t' })
    expect(rows).toHaveLength(20)
    expect(items.map(({ batch }) => batch.rows)).toEqual([5, 5, 5, 5])
  })

  it('reads odd names, an empty table and a view', async () => {
    await sql(
      `create schema "S.x"; create table "S.x"."t""; drop" ("co""l" int4 primary key, "Ü" text); create view s.v as select 1 as one`,
    )
    expect((await read({ stream: '"S.x"."t""; drop"' })).rows).toEqual([])
    await sql(`insert into "S.x"."t""; drop" values (1, '\\'), (2, '''')`)
    expect((await read({ stream: '"S.x"."t""; drop"' }, { pageRows: 1 })).rows).toEqual([
      [1, '\\'],
      [2, `'`],
    ])
    expect((await read({ stream: 's.v' })).rows).toEqual([[1]])
    await sql('drop schema "S.x" cascade')
  })

  it.each([
    ['unknown_table', { stream: 's.nothing' }, 's.nothing'],
    ['bad_table_name', { stream: 'a.b.c' }, 'a.b.c'],
    ['unknown_column', { stream: 's.t', columns: ['id', 'x', 'y'] }, '"x", "y"'],
    ['unknown_column', { stream: 's.t', cursor: { column: 'z' } }, '"z"'],
    ['unsupported_value', { stream: 's.t' }, '"at"'],
  ])('fails with %s', async (code, options, words) => {
    await sql(`create table s.t (id int4 primary key, at date); insert into s.t values (1, 'infinity')`)
    await expect(read(options)).rejects.toMatchObject({
      name: 'StepFailure',
      code,
      message: expect.stringContaining(words),
    })
  })

  it.each(['infinity', '-infinity', '294276-01-01'])(
    'refuses the timestamp %s rather than changing it',
    async (at) => {
      await sql(`create table s.t (id int4 primary key, at timestamp); insert into s.t values (1, '${at}')`)
      await expect(read({ stream: 's.t' })).rejects.toMatchObject({ code: 'unsupported_value' })
    },
  )

  it('says what may not be read', async () => {
    await warehouse.sql('create table s.secret (id int4 primary key)')
    await expect(read({ stream: 's.secret' })).rejects.toMatchObject({ code: 'permission_denied' })
  })

  it('fails in words when the connection is cut between two batches, and goes on from the last state', async () => {
    await sql(
      'create table s.t (id int4 primary key); insert into s.t select i from generate_series(1, 200000) i',
    )
    const options = { stream: 's.t', signal: AbortSignal.timeout(50_000) }
    const reader = await openReader(warehouse.connection, options, { ...here, pageRows: 40_000 })
    let got = 0
    let state: ReadState = {}
    const cut = async () => {
      for await (const item of reader.batches) {
        got += item.batch.rows
        state = item.state
        if (got > 60_000)
          await warehouse.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'weir'`)
      }
    }
    await expect(cut()).rejects.toMatchObject({ name: 'StepFailure', retryable: true })
    await reader.close()
    const rest = await read({ stream: 's.t', state })
    expect(rest.rows[0]).toEqual([got + 1])
    expect(got + rest.rows.length).toBe(200_000)
  })

  it('stops when its signal says so', async () => {
    await sql(
      'create table s.t (id int4 primary key); insert into s.t select i from generate_series(1, 200000) i',
    )
    const stop = new AbortController()
    const reader = await openReader(warehouse.connection, { stream: 's.t', signal: stop.signal }, here)
    const all = async () => {
      for await (const { batch } of reader.batches) if (batch.rows > 0) stop.abort(new Error('enough'))
    }
    await expect(all()).rejects.toThrow('enough')
    await reader.close()
  })
})

describe('an incremental read', () => {
  const stream = 's.events'
  beforeEach(() =>
    sql(`create table s.events (id int8 primary key, day date, note text);
      insert into s.events select i, case when i % 100 <> 0 then date '2020-01-01' + (i / 30000) end, 'n' || i from generate_series(1, 70000) i`),
  )

  it('takes everything first, then what is greater, in the order of the cursor', async () => {
    const all = await read({ stream, cursor: { column: 'day' } })
    expect(all.rows).toHaveLength(70_000)
    expect(new Set(all.rows.map(([id]) => id)).size).toBe(70_000)
    const days = all.rows.slice(0, 69_300).map(([, day]) => Number(day))
    expect(days).toEqual(days.toSorted((a, b) => a - b))
    expect(all.rows.slice(69_300).every(([, day]) => day === null)).toBe(true)
    const more = await read({ stream, cursor: { column: 'day', after: '2020-01-02' } })
    expect(more.rows).toHaveLength(9900)
    expect((await read({ stream, cursor: { column: 'day', after: '2020-01-03' } })).rows).toEqual([])
  })

  it('resumes in the middle of rows that share a cursor value, and among those without one', async () => {
    const cursor = { column: 'day' }
    const whole = await read({ stream, cursor, columns: ['id'] })
    expect(whole.items.map(({ batch }) => batch.rows)).toEqual([32_768, 32_768, 3764, 700])
    for (const [at, { state }] of whole.items.entries()) {
      const rest = await read({ stream, cursor, columns: ['id'], state })
      expect(rest.rows).toEqual(whole.items.slice(at + 1).flatMap(({ batch }) => rowsOf(batch)))
    }
  })

  it('takes a cursor from a table without a key, and says that it cannot resume', async () => {
    await sql('alter table s.events drop constraint events_pkey; alter table s.events alter id drop not null')
    const { rows, resumable } = await read({ stream, cursor: { column: 'id', after: '69990' } })
    expect(resumable).toBe(false)
    expect(rows).toHaveLength(10)
  })

  it('does not take a cursor for SQL', async () => {
    const failure = read({ stream, cursor: { column: 'day', after: `2020-01-01'; drop table s.events; --` } })
    await expect(failure).rejects.toMatchObject({ code: 'bad_value' })
    expect(await warehouse.sql('select count(*)::int as n from s.events')).toEqual([{ n: 70_000 }])
  })
})
