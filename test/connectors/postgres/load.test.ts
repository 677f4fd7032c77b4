import { beforeEach, describe, expect, it } from 'vitest'

import { columnTypes } from '#src/domain/column.ts'
import { dropStage } from '#src/connectors/postgres/load.ts'
import { columns, emptyWarehouse, loadsInto, spec, type Rows } from './loads.ts'
import { chunk, inPieces } from './tuples.ts'
import { here } from './warehouse.ts'

const warehouse = await emptyWarehouse()
const { open, sql, relations, loadAll } = loadsInto(warehouse)
const target = () => sql('select id::int4, label from public.target order by id, label')

describe('a load into nothing', () => {
  it.each(['append', 'overwrite', 'upsert'] as const)('makes the table (%s)', async (mode) => {
    const of = spec({ mode, key: ['id'] })
    expect(
      await loadAll(
        of,
        [
          [1n, 'one'],
          [2n, null],
        ],
        [[3n, '']],
      ),
    ).toMatchObject({ rows: 3 })
    expect(await target()).toEqual([
      { id: 1, label: 'one' },
      { id: 2, label: null },
      { id: 3, label: '' },
    ])
    expect(await relations()).toEqual([`_weir_${of.loadId}`, 'target'])
    const [made] =
      await sql(`select relpersistence as kept, reloptions as options, obj_description(oid, 'pg_class') as comment,
      (select count(*)::int from pg_index where indrelid = c.oid and indisprimary) as keys from pg_class c where relname = 'target'`)
    expect(made).toEqual({ kept: 'p', options: null, comment: null, keys: mode === 'upsert' ? 1 : 0 })
    await dropStage(warehouse.connection, of, here)
    await dropStage(warehouse.connection, of, here)
    expect(await relations()).toEqual(['target'])
  })

  it('makes an empty table of no rows, with a column of every type', async () => {
    const all = columnTypes.map((type) => ({ name: `a ${type}`, type, nullable: true }))
    expect(await loadAll(spec({ mode: 'overwrite', columns: all }))).toEqual({ rows: 0 })
    const made = await sql(`select string_agg(format_type(atttypid, atttypmod), ', ' order by attnum) as types
      from pg_attribute where attrelid = 'public.target'::regclass and attnum > 0`)
    expect(made).toEqual([
      {
        types:
          'boolean, integer, bigint, double precision, numeric, text, date, timestamp without time zone, timestamp with time zone, jsonb',
      },
    ])
  })
})

describe('a load into a table', () => {
  beforeEach(() =>
    sql(`create table public.target (label varchar(10), id int4 unique, at timestamptz default now(), note text);
      insert into public.target (id, label, note) values (1, 'old', 'kept'), (9, 'old', 'kept');
      create view public.seen as select label from public.target; grant select on public.target to public`),
  )

  it('appends', async () => {
    expect(await loadAll(spec(), [[2n, 'two']], [[3n, null]])).toEqual({ rows: 2 })
    expect(await target()).toEqual([
      { id: 1, label: 'old' },
      { id: 2, label: 'two' },
      { id: 3, label: null },
      { id: 9, label: 'old' },
    ])
  })

  it('overwrites, and keeps what hangs on the table', async () => {
    expect(await loadAll(spec({ mode: 'overwrite' }), [[2n, 'two']])).toEqual({ rows: 1 })
    expect(await target()).toEqual([{ id: 2, label: 'two' }])
    expect(await sql('select * from public.seen')).toEqual([{ label: 'two' }])
    expect(
      await sql(`select relacl::text ~ '=r/' as granted from pg_class where relname = 'target'`),
    ).toEqual([{ granted: true }])
  })

  it('upserts by key, leaves the other columns, and counts', async () => {
    const of = spec({ mode: 'upsert', key: ['id'] })
    expect(
      await loadAll(
        of,
        [
          [1n, 'new'],
          [2n, 'two'],
        ],
        [[3n, 'three']],
      ),
    ).toEqual({ rows: 3, inserted: 2, updated: 1 })
    expect(await sql('select id, label, note from public.target order by id')).toEqual([
      { id: 1, label: 'new', note: 'kept' },
      { id: 2, label: 'two', note: null },
      { id: 3, label: 'three', note: null },
      { id: 9, label: 'old', note: 'kept' },
    ])
  })

  it('upserts rows that are nothing but key, and into a partitioned table', async () => {
    await sql(`create table public.parts (id int8 primary key) partition by range (id);
      create table public.parts_1 partition of public.parts for values from (0) to (100); insert into public.parts values (1)`)
    const of = spec({ table: 'public.parts', mode: 'upsert', key: ['id'], columns: columns.slice(0, 1) })
    const load = await open(of)
    const bytes = Uint8Array.from([
      0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2,
    ])
    await load.copyChunk(0, inPieces(bytes))
    expect(await load.finish()).toEqual({ rows: 2 })
    await load.close()
    expect(await sql('select id::int4 from public.parts order by id')).toEqual([{ id: 1 }, { id: 2 }])
  })

  it.each([
    [
      'duplicate_key',
      [
        [5n, 'a'],
        [6n, 'b'],
        [5n, 'c'],
      ],
      'more than once',
    ],
    [
      'null_key',
      [
        [5n, 'a'],
        [null, 'b'],
      ],
      '"id"',
    ],
    ['bad_value', [[5n, 'longer than ten']], 'does not fit'],
    ['bad_value', [[2n ** 40n, 'a']], 'does not fit'],
  ] satisfies [string, Rows, string][])('refuses with %s, and changes nothing', async (code, rows, words) => {
    const before = await target()
    const failure = loadAll(spec({ mode: 'upsert', key: ['id'] }), rows)
    await expect(failure).rejects.toMatchObject({ name: 'StepFailure', code, retryable: false })
    await expect(failure).rejects.toThrow(`Connection "the warehouse"`)
    await expect(failure).rejects.toThrow(words)
    await expect(failure).rejects.not.toThrow('longer than ten')
    expect(await target()).toEqual(before)
  })

  it('names the constraint that rows break, and changes nothing', async () => {
    await expect(
      loadAll(spec(), [
        [5n, 'a'],
        [9n, 'b'],
      ]),
    ).rejects.toMatchObject({
      code: 'duplicate_key',
      message: expect.stringContaining('"target_id_key"'),
    })
    expect(await target()).toHaveLength(2)
  })

  it('casts text to the types that have no values of their own here', async () => {
    await sql(`create type public.mood as enum ('sad', 'ok'); create domain public.short as varchar(4);
      create table public.odd (id numeric, label public.mood); create table public.odder (id int8, label uuid); create table public.oddest (id int8, label public.short)`)
    await loadAll(spec({ table: 'odd' }), [[1n, 'ok']])
    await loadAll(spec({ table: 'odder' }), [[1n, '00000000-0000-0000-0000-00000000000a']])
    await expect(loadAll(spec({ table: 'odd' }), [[1n, 'great']])).rejects.toMatchObject({
      code: 'bad_value',
    })
    await expect(loadAll(spec({ table: 'oddest' }), [[1n, 'too long']])).rejects.toMatchObject({
      code: 'bad_value',
    })
    expect(await sql('select id::text, label::text from public.odd')).toEqual([{ id: '1', label: 'ok' }])
  })
})

describe('finish', () => {
  it.each(['append', 'overwrite', 'upsert'] as const)(
    'called again, by whomever, changes nothing (%s)',
    async (mode) => {
      await sql('create table public.target (id int8 primary key, label text)')
      const of = spec({ mode, key: ['id'] })
      const counts = await loadAll(of, [
        [1n, 'a'],
        [2n, 'b'],
      ])
      await sql(`delete from public.target where id = 1`)
      const late = await open(of)
      expect(late.position()).toBe('finished')
      await late.copyChunk(0, chunk(0, 10))
      expect(await late.finish()).toEqual(counts)
      expect(await late.finish()).toEqual(counts)
      await late.close()
      expect(await target()).toEqual([{ id: 2, label: 'b' }])
    },
  )

  it('of two at once happens once, also where the stage becomes the table', async () => {
    for (const mode of ['overwrite', 'append'] as const) {
      const of = spec({ mode, table: `public.target_${mode}` })
      const first = await open(of)
      const second = await open(of)
      await first.copyChunk(0, chunk(0, 1000))
      await second.copyChunk(0, chunk(0, 1000))
      expect(await Promise.all([first.finish(), second.finish()])).toEqual([{ rows: 1000 }, { rows: 1000 }])
      await Promise.all([first.close(), second.close()])
      expect(await sql(`select count(*)::int as n from public.target_${mode}`)).toEqual([{ n: 1000 }])
    }
  })

  it('finds a target that was made meanwhile', async () => {
    const of = spec({ mode: 'overwrite' })
    const load = await open(of)
    await load.copyChunk(0, chunk(0, 3))
    await sql(
      `create table public.target (id int8, label text, more text); insert into public.target values (7, 'old')`,
    )
    expect(await load.finish()).toEqual({ rows: 3 })
    await load.close()
    expect((await target()).map(({ id }) => id)).toEqual([0, 1, 2])
  })
})
