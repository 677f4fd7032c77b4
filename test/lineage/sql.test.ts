import { expect, it } from 'vitest'
import { loadParser, valuesOf } from '#src/lineage/sql.ts'
import { grammar } from '#test/support/grammar.ts'
import { ordinary } from './ordinary.ts'

const parser = loadParser(await grammar())
const parameters = { since: { type: 'date' as const }, most: { type: 'integer' as const } }
const check = (sql: string) => parser.checkSelect(sql, parameters)

it.each(ordinary)('takes %s', async (sql, tables) => {
  expect(await check(sql)).toMatchObject({ ok: true, tables })
})

const hostile = [
  '',
  ';',
  '-- nothing',
  'selekt 1',
  'select 1; select 2',
  'select 1; drop table flights',
  "select 1;select set_config('app.claim', 'x', true)",
  'insert into flights values (1)',
  'update flights set delay = 0',
  'delete from flights',
  'merge into flights using airports on true when matched then delete',
  'truncate flights',
  'drop table flights',
  'create table x as select 1',
  'create table x (a int)',
  'create function f() returns int language sql as $$ select 1 $$',
  'alter table flights add column x int',
  'grant select on flights to public',
  'copy flights to stdout',
  "copy flights from program 'id'",
  'do $$ begin end $$',
  'call app.wall(1)',
  'explain select 1',
  'explain analyze select 1',
  'set role weir_app',
  'reset role',
  "set app.claim = 'x'",
  'show all',
  'begin',
  'commit',
  'lock table flights',
  'listen x',
  'notify x',
  'vacuum flights',
  'analyze flights',
  'prepare p as select 1',
  'execute p',
  'declare c cursor for select 1',
  'fetch all from c',
  'table pg_class',
  'select 1 into x',
  'select * into x from flights',
  'select * from flights for update',
  'select * from flights for share of flights',
  'with x as (insert into flights values (1) returning *) select * from x',
  'with x as (update flights set delay = 0 returning *) select * from x',
  'with x as (delete from flights returning *) select * from x',
  'select * from (with x as (delete from flights returning *) select * from x) q',
  'select * from pg_catalog.pg_class',
  'select * from pg_class',
  'select * from PG_ROLES',
  'select * from information_schema.tables',
  'select * from public.users',
  'select * from data.dsv_01',
  'select * from app.claim_keys',
  'select * from other.public.flights',
  'select * from flights where exists (select 1 from public.api_keys)',
  "select set_config('app.claim', 'x', true)",
  "select pg_catalog.set_config('role', 'weir_app', true)",
  "select current_setting('app.claim')",
  'select app.tenant_id()',
  "select app.create_version('a', 'b', 'c', 'd', 'e', '[]')",
  'select pg_sleep(10)',
  "select pg_read_file('/etc/passwd')",
  "select pg_ls_dir('.')",
  "select lo_import('/etc/passwd')",
  "select lo_export(1, '/x')",
  "select dblink('host=x', 'select 1')",
  "select query_to_xml('select 1', true, true, '')",
  "select table_to_xml('flights', true, true, '')",
  "select nextval('outbox_id_seq')",
  "select setval('outbox_id_seq', 1)",
  'select pg_terminate_backend(1)',
  'select pg_advisory_lock(1)',
  'select txid_current()',
  'select version()',
  'select inet_server_addr()',
  'select current_user',
  'select session_user',
  'select user',
  'select current_catalog',
  'select current_schema',
  "select has_table_privilege('users', 'select')",
  "select to_regclass('users')",
  "select 'users'::regclass",
  "select 'weir_app'::regrole",
  "select cast('x' as public.mytype)",
  "select 'x'::xml",
  'select 1 operator(public.+) 2',
  "select repeat('x', 1000000000)",
  'select * from pg_stat_activity',
  "select * from pg_ls_dir('.') as f",
  'select * from flights tablesample system (10)',
  "select * from xmltable('/a' passing '<a/>' columns b text)",
  'select xmlelement(name a)',
  'select $1',
  'select * from flights where origin = $1 and date > ${params.since}',
  'select ${params.nobody}',
  "select ${params.since'; drop table flights; --}",
  "select '${params.since}'",
  'select 1 -- ${params.since}',
  'select ${env.CLAIM_KEY}',
  'select * from flights) q; drop table flights; --',
  'select * from flights) as q, (select 1',
  'select 1 /* unclosed',
  "select 'unclosed",
  'select $x$ unclosed',
  'select (select 1',
  'select 1 where current of c',
  "select * from rows from (pg_ls_dir('.')) as r",
  'select ctid, xmin from flights where pg_column_size(1) > 0',
  'with recursive t as (select 1 as n union all select n + 1 from t) search depth first by n set o select * from t',
]

it.each(hostile)('refuses %s', async (sql) => {
  const checked = await check(sql)
  expect(checked.ok).toBe(false)
  if (!checked.ok) expect(checked.fields[0]?.message).toMatch(/\w/)
})

it('gives the one statement without what follows it, so that it can stand in parentheses', async () => {
  expect(await check('select 1 as n;  ')).toMatchObject({ ok: true, text: 'select 1 as n' })
  expect(await check('  select 1; -- done')).toMatchObject({
    ok: true,
    text: expect.stringMatching(/^\s*select 1$/),
  })
})

it('hands parameters over as values of their types, never as text of the query', async () => {
  const checked = await check(
    'select * from flights where date >= ${params.since} and delay < ${ params.most } and date <> ${params.since}',
  )
  expect(checked).toMatchObject({
    ok: true,
    parameters: ['since', 'most', 'since'],
    text: 'select * from flights where date >= ($1::date) and delay < ($2::bigint) and date <> ($3::date)',
  })
  if (checked.ok)
    expect(valuesOf(checked, { since: "2001-01-01'; --", most: 5 })).toEqual([
      "2001-01-01'; --",
      '5',
      "2001-01-01'; --",
    ])
})

it('says on which line the text goes wrong', async () => {
  expect(await check('select origin,\n  set_config(1)\nfrom flights')).toMatchObject({
    ok: false,
    fields: [{ path: 'sql', line: 2, column: 3 }],
  })
  expect(await check('select ü,\n frm x y z')).toMatchObject({ ok: false, fields: [{ line: 2 }] })
})
