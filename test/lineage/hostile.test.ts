import { describe, expect, it } from 'vitest'
import { loadParser } from '#src/lineage/sql.ts'
import { grammar } from '#test/support/grammar.ts'

const parser = loadParser(await grammar())
const parameters = { since: { type: 'date' as const } }
const check = (sql: string) => parser.checkSelect(sql, parameters)
const problemOf = async (sql: string) => {
  const checked = await check(sql)
  if (checked.ok) throw new Error(`taken: ${checked.text.slice(0, 200)}`)
  return checked.fields[0]
}

describe('a field’s name that PostgreSQL reads as a call', () => {
  it.each([
    "select ('app.claim'::text).current_setting",
    "select f.current_setting from unnest(array['app.claim']) as f",
    "select unnest.current_setting from unnest(array['app.claim'])",
    "with d as (select 'app.claim'::text as a) select (a).current_setting from d",
    "select (array_agg(x))[1].current_setting from (values ('app.claim')) v(x)",
    'select g.pg_sleep from generate_series(0, 0) g',
    'select g.pg_advisory_lock from generate_series(0, 0) as g(n)',
    "select ((select 'app.claim')).current_setting",
    'select v.pg_typeof from (values (1)) v(x)',
    "select \"coalesce\".current_setting from coalesce('app.claim', '')",
    'select "text".current_setting from cast(\'app.claim\' as text)',
    "select (select x.current_setting from unnest(array[1]) as x(current_setting)), x.current_setting from unnest(array['app.claim']) as x",
    "select r.current_setting from rows from (unnest(array['app.claim'])) as r",
    "select * from flights order by ('app.claim'::text).current_setting",
    "select * from flights f, lateral unnest(array['app.claim']) l where l.current_setting is not null",
  ])('is refused: %s', async (sql) =>
    expect((await problemOf(sql))?.message).toMatch(/cannot be taken|is a function|no column|needs a name/),
  )

  it.each([
    'select u.n, u.i from unnest(array[1, 2]) with ordinality as u(n, i)',
    'select g.g from generate_series(1, 3) g',
    "select e.key, e.value from jsonb_each('{}') e",
    "select (jsonb_each('{}')).key, (row(1, 2)).f1",
    'select (f).*, f.*, f.version, f.name from flights f',
    'select a[1], a[1:2] from arrays',
    'select unnest.unnest from unnest(array[1])',
  ])('is taken where it is a column: %s', async (sql) => expect(await check(sql)).toMatchObject({ ok: true }))
})

it.each([
  'select 1 operator(app.+) any (select 1)',
  'select * from flights order by delay using operator(app.<)',
  'select origin collate app.x from flights',
  "select pg_input_is_valid('users', 'regclass')",
  "select 'x'::app.secret",
  "select 'users'::regclass[]",
  "select json_value('{}', '$')",
  "select * from json_table('[]', '$[*]' columns (a int)) j",
  'select * from flights where current_role is null',
  'select 1 union select 1 into x',
  'select 1 union (select 1 from pg_user)',
  'select 1 union (with x as (delete from flights returning 1) select * from x)',
  'select * from (select * from flights for update) q',
  'with pg_class as (select 1) select * from pg_class, pg_proc',
  'select app.tenant_id() over ()',
  "select count(*) filter (where current_setting('x') is null)",
  "select sum(1) over (order by current_setting('x'))",
  "select 1 limit (select length(current_setting('x')))",
  "select 1 group by grouping sets ((current_setting('x')))",
  "values (current_setting('x'))",
  "select case current_setting('x') when '' then 1 end",
  "select * from flights join airports on current_setting('x') = ''",
  "select array[current_setting('x')]",
  "select * from lateral (select current_setting('x')) q",
  "with recursive n as (select 1 union select length(current_setting('x'))) select * from n",
  'SELECT "current_setting"(\'x\')',
  'select U&"current\\005fsetting"(\'x\')',
  'select 1\0) q; drop table flights; --',
  "select '\ud800'",
])('refuses %j', async (sql) => expect((await check(sql)).ok).toBe(false))

describe('what cannot be parsed in reasonable room', () => {
  const nested: [string, string][] = [
    ['parentheses', `select ${'('.repeat(49_000)}1${')'.repeat(49_000)}`],
    ['sums', `select 1${'+1'.repeat(49_000)}`],
    ['casts', `select 1${'::int'.repeat(19_000)}`],
    ['subqueries', `select ${'(select '.repeat(10_000)}1${')'.repeat(10_000)}`],
    ['cases', `select ${'case when true then '.repeat(4_000)}1${' end'.repeat(4_000)}`],
  ]
  it.each(nested)('%s are refused, and the next text is read as ever', async (_, sql) => {
    expect((await problemOf(sql))?.message).toMatch(/nested too deeply/)
    expect(await check('select origin from flights')).toMatchObject({ ok: true, tables: ['flights'] })
  })

  it('is not what is merely long', async () => {
    expect(await check(`select ${'1, '.repeat(30_000)}1 from flights`)).toMatchObject({
      ok: true,
      tables: ['flights'],
    })
    expect(
      await check(
        `select 1 from flights where ${Array.from({ length: 10_000 }, (_, i) => `a = ${i}`).join(' and ')}`,
      ),
    ).toMatchObject({ ok: true })
  })
})

describe('parameters', () => {
  it.each([
    ["select '${params.since}', $1", /never as \$1/],
    ["select '${params.since}'", /in quotes or in a comment/],
    ['select $$${params.since}$$', /in quotes or in a comment/],
    ['select 1 /* ${params.since} */', /in quotes or in a comment/],
    ['select ${params.since}, $1', /never as \$1/],
    ['select ${params.since}, $2', /never as \$1/],
    ['select ${params.__proto__}', /no parameter/],
    ['select ${params.constructor}', /no parameter/],
  ])('in %s are refused', async (sql, message) => expect((await problemOf(sql))?.message).toMatch(message))
})

describe('the place of a problem', () => {
  it.each([
    ['select ü, ü frm x y z', 1, 17],
    ['select 1,\n  ${params.since}, ü,\n  pg_sleep(1)', 3, 3],
    ['select ${params.since}, pg_sleep(1)', 1, 25],
    ['select ${params.since}, ${ params.since } frm x y', 1, 47],
    ['select ${params.since}, ${params.nobody}', 1, 25],
    ['select 1;\nselect 2', 2, 1],
  ])('in %j is line %i, column %i', async (sql, line, column) =>
    expect(await problemOf(sql)).toMatchObject({ line, column }),
  )
})

it('ends where the statement ends, so that what follows it cannot leave the parentheses', async () => {
  for (const sql of [
    'select 1 -- )',
    'select 1 /* ) */ -- x',
    'select 1; -- ) q; drop table flights',
    'select \')\' as ")" ;;',
    'select $$)$$ --',
  ]) {
    const checked = await check(sql)
    if (!checked.ok) throw new Error(JSON.stringify(checked.fields))
    const wrapped = await check(`select * from (${checked.text}\n) asked`)
    expect(wrapped).toMatchObject({ ok: true })
  }
})
