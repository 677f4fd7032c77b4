import { describe, expect, it } from 'vitest'
import { problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'

const here = await fileWorld()
const acme = await here.tenant()

const head = 'apiVersion: weir/v1\nkind: Pipeline\nname: refused\n'
const sql = (select: string) => `${head}steps:\n  - id: bad\n    sql: ${select}\n    into: out\n`

async function fieldsOf(source: string) {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body: source }
  const refused = await problem(await acme.fetch('/v1/pipelines', init), 422)
  return refused.fields ?? []
}

describe('a definition that is not valid is refused with the place and what was expected', () => {
  it.each([
    [
      'an unknown key',
      `${head}steps:\n  - id: a\n    wait: { for: 1s }\n    afer: [b]\n`,
      'steps[0].afer',
      7,
      5,
      'did you mean "after"?',
    ],
    [
      'an unknown operator',
      `${head}steps:\n  - id: a\n    from: b\n    transform:\n      - filtr: { column: x, is: null }\n    into: c\n`,
      'steps[0].transform[0]',
      8,
      9,
      'did you mean filter?',
    ],
    [
      'a wrong type',
      `${head}concurrency: many\nsteps:\n  - { id: a, wait: { for: 1s } }\n`,
      'concurrency',
      4,
      1,
      'number',
    ],
    [
      'a bad cron',
      `${head}triggers:\n  - { cron: "61 * * * *" }\nsteps:\n  - { id: a, wait: { for: 1s } }\n`,
      'triggers[0].cron',
      5,
      7,
      '',
    ],
    [
      'a bad timezone',
      `${head}triggers:\n  - { cron: "1 * * * *", timezone: Mars/Base }\nsteps:\n  - { id: a, wait: { for: 1s } }\n`,
      'triggers[0].cron',
      5,
      7,
      'Mars/Base',
    ],
    [
      'a cycle',
      `${head}steps:\n  - { id: a, sql: select * from y, into: x }\n  - { id: b, sql: select * from x, into: y }\n`,
      'steps[0].id',
      5,
      7,
      'a → b → a',
    ],
    [
      'two makers',
      `${head}steps:\n  - { id: a, sql: select 1 as n, into: x }\n  - { id: b, sql: select 2 as n, into: x }\n`,
      'steps[1].into',
      6,
      34,
      'made by step "a"',
    ],
    ['no YAML', `${head}steps: [\n`, '', 5, 1, 'not YAML'],
    ['a key that is there twice', `${head}name: again\nsteps: []\n`, 'name', 4, 1, 'twice'],
  ])('%s', async (_what, source, path, line, column, expected) => {
    const [field] = await fieldsOf(source)
    expect(field).toMatchObject({ path, line, column })
    expect(field?.message).toContain(expected)
  })

  it.each([
    ['writes', 'delete from orders'],
    ['writes inside', '"with gone as (delete from orders returning *) select * from gone"'],
    ['has two statements', 'select 1 as a; select 2 as b'],
    ['calls set_config', "select set_config('app.claim', 'x', true) as a"],
    ['reads the catalogue', 'select * from pg_catalog.pg_class'],
    ['reads the tables of Weir', 'select * from public.connections'],
    ['reads a table of another tenant by its name', 'select * from data.dsv_00000000000000000000000000'],
    ['reads a file', "select pg_read_file('/etc/passwd') as a"],
    ['sleeps', 'select pg_sleep(10) as a'],
    ['is no SQL', 'selec 1'],
  ])('SQL that %s', async (_what, select) => {
    const fields = await fieldsOf(sql(select))
    expect(fields).toMatchObject([{ path: 'steps[0].sql', line: 6, column: 5 }])
    expect(fields[0]?.message).toMatch(/line 1 of the SQL, column \d+/)
  })

  it.each([
    ['', 'steps[0].wait.sql', '    wait: { sql: delete from orders }'],
    [
      ' in a map',
      'steps[0].map.steps[0].wait.sql',
      '    map: { over: [1], steps: [{ id: in, wait: { sql: delete from orders } }] }',
    ],
  ])('SQL of a sensor that writes%s', async (_where, path, step) => {
    const fields = await fieldsOf(`${head}steps:\n  - id: bad\n${step}\n`)
    expect(fields).toMatchObject([{ path, line: 6, message: expect.stringContaining('line 1 of the SQL') }])
  })

  it('all of it at once', async () => {
    const fields = await fieldsOf(
      `${head}color: red\nsteps:\n  - { id: A, wait: { for: 1s } }\n  - { id: b, wait: { for: soon } }\n`,
    )
    expect(fields.map(({ path, line }) => [path, line])).toEqual([
      ['color', 4],
      ['steps[0].id', 6],
      ['steps[1].wait.for', 7],
    ])
  })
})
