import { describe, expect, it } from 'vitest'

import type { ColumnSpec } from '#src/domain/column.ts'
import type { LoadSpec } from '#src/connectors/postgres/plan.ts'
import { columns, emptyWarehouse, loadsInto, spec } from './loads.ts'

const warehouse = await emptyWarehouse()
const { open, sql, relations, loadAll } = loadsInto(warehouse)

describe('a plan', () => {
  it.each([
    [
      'create table public.target (id int8, other text not null)',
      {},
      'schema_mismatch',
      ['no column "label"', '"other" must not be null'],
    ],
    [
      'create table public.target (id text, label text)',
      {},
      'schema_mismatch',
      ['"id" is text, which does not take every bigint'],
    ],
    ['create table public.target (id int8, label int4)', {}, 'schema_mismatch', ['"label" is integer']],
    [
      'create table public.target (id float8, label text)',
      {},
      'schema_mismatch',
      ['"id" is double precision'],
    ],
    [
      'create table public.target (id int8 generated always as identity, label text)',
      {},
      'schema_mismatch',
      ['"id" is generated'],
    ],
    ['create view public.target as select 1::int8 as id, null::text as label', {}, 'not_a_table', ['view']],
    [
      'create table public.target (id int8, label text)',
      { mode: 'upsert', key: ['id'] },
      'no_unique_key',
      ['"id"'],
    ],
    [
      'create table public.target (id int8, label text, primary key (id, label))',
      { mode: 'upsert', key: ['id'] },
      'no_unique_key',
      ['"id"'],
    ],
    [
      'create table public.target (id int8, label text); create unique index on public.target (id) where id > 0',
      { mode: 'upsert', key: ['id'] },
      'no_unique_key',
      ['"id"'],
    ],
    ['select 1', { mode: 'upsert' }, 'no_key', ['key']],
    ['select 1', { mode: 'upsert', key: ['nr'] }, 'schema_mismatch', ['"nr"']],
    ['select 1', { table: 'nowhere.target' }, 'unknown_schema', ['"nowhere"']],
    ['select 1', { table: 'a.b.c' }, 'bad_table_name', ['a.b.c']],
    [
      'select 1',
      { columns: [...columns, { name: 'id', type: 'text', nullable: true }] },
      'schema_mismatch',
      ['"id"'],
    ],
    [
      'select 1',
      { columns: [{ name: 'x'.repeat(64), type: 'text', nullable: true }] },
      'schema_mismatch',
      ['xxx'],
    ],
  ] satisfies [string, Partial<LoadSpec>, string, string[]][])(
    '%s with %j is refused: %s',
    async (ddl, more, code, words) => {
      await sql(ddl)
      const failure = await open(spec(more)).catch((cause: unknown) => cause)
      expect(failure).toMatchObject({ name: 'StepFailure', code, retryable: false })
      for (const word of words) expect(String(failure)).toContain(word)
      expect((await relations()).filter((name) => String(name).startsWith('_weir_'))).toEqual([])
    },
  )

  it('is refused where the user may not write', async () => {
    await warehouse.sql('create schema closed; create table closed.target (id int8, label text)')
    await expect(open(spec({ table: 'closed.target' }))).rejects.toMatchObject({ code: 'permission_denied' })
    await warehouse.sql('drop schema closed cascade')
  })

  it('takes the key in any order, and names as odd as they come', async () => {
    const odd = `we"ird; drop table "x".y --'\\`
    await sql(
      `create schema "S ""1"; create table "S ""1"."t.1" ("${odd.replaceAll('"', '""')}" int8, "sélect" text, primary key ("sélect", "${odd.replaceAll('"', '""')}"))`,
    )
    const oddColumns: ColumnSpec[] = [
      { name: odd, type: 'bigint', nullable: false },
      { name: 'sélect', type: 'text', nullable: false },
    ]
    const of = spec({ table: '"S ""1"."t.1"', mode: 'upsert', key: [odd, 'sélect'], columns: oddColumns })
    expect(
      await loadAll(of, [
        [1n, 'a'],
        [1n, 'b'],
      ]),
    ).toEqual({ rows: 2, inserted: 2, updated: 0 })
    await sql('drop schema "S ""1" cascade')
  })

  it('says what the engine is to cast each column to', async () => {
    await sql('create table public.target (label varchar(3), id int4)')
    const load = await open(spec())
    expect(load.columns.map(({ name, cast }) => ({ name, cast }))).toEqual([
      { name: 'id', cast: 'int8' },
      { name: 'label', cast: 'text' },
    ])
    await load.abandon()
    await load.close()
    expect(await relations()).toEqual(['target'])
  })
})
