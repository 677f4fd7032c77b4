import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import { claimSigner } from '#src/db/claim.ts'
import type { TenantId } from '#src/domain/id.ts'
import { codeOf } from '#test/support/engine-calls.ts'
import { leftovers, nothing, tableOf, tally, tallyOf } from '#test/support/ledger.ts'
import { client } from '#test/support/own-stack.ts'
import { finished, json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let other: Tenant
let owner: pg.Client
let mine: string
let theirs: string

beforeAll(async () => {
  here = await world()
  ;[acme, other] = await Promise.all([here.tenant(), here.tenant()])
  owner = await client(given('ownerUrl'))
  const make = (tenant: Tenant, into: string, rows: number) =>
    pipeline(
      tenant,
      `
steps:
  - { id: make, sql: "select n::int4 as id from generate_series(1, ${rows}) n", into: ${into} }`,
    )
  expect((await finished(acme, await make(acme, 'mine', 10))).state).toBe('succeeded')
  expect((await finished(other, await make(other, 'secrets', 20))).state).toBe('succeeded')
  mine = await tableOf(owner, acme.id, 'mine')
  theirs = await tableOf(owner, other.id, 'secrets')
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

const hostile: [string, () => string, RegExp][] = [
  ['deletes', () => 'delete from mine', /must be a SELECT, found DELETE/],
  ['inserts', () => 'insert into mine values (1)', /must be a SELECT, found INSERT/],
  ['deletes inside WITH', () => 'with gone as (delete from mine returning id) select id from gone', /DELETE/],
  ['makes a table', () => 'select id into stolen from mine', /SELECT INTO/],
  ['has two statements', () => 'select id from mine; drop table mine', /one SELECT, found 2 statements/],
  [
    'calls set_config',
    () => `select set_config('app.claim', 'x', false) as a from mine`,
    /set_config\(\) is not allowed/,
  ],
  [
    'calls set_config by its full name',
    () => `select pg_catalog.set_config('role', 'weir_system', true) as a`,
    /set_config\(\) is not allowed/,
  ],
  ['reads another tenant’s table', () => `select id from ${theirs}`, /has a schema in front/],
  ['reads the catalogue', () => 'select rolname from pg_roles', /PostgreSQL's own/],
  [
    'reads the catalogue by its schema',
    () => 'select relname from pg_catalog.pg_class',
    /has a schema in front/,
  ],
  [
    'reads the information schema',
    () => 'select table_name from information_schema.tables',
    /schema in front/,
  ],
  ['reads our own tables', () => 'select id from public.connections', /has a schema in front/],
  ['calls a function of ours', () => `select app.tenant_id() as a from mine`, /not allowed/],
  ['makes a claim', () => `select app.enter() as a from mine`, /not allowed/],
  ['reads a setting', () => `select current_setting('app.claim') as a from mine`, /not allowed/],
  [
    'asks another server',
    () => `select * from dblink('host=127.0.0.1', 'select 1') as t(a int)`,
    /not allowed/,
  ],
  ['reads a file', () => `select pg_read_file('/etc/passwd') as a from mine`, /not allowed/],
  ['lists a folder', () => `select pg_ls_dir('/') as a from mine`, /not allowed/],
  ['imports a large object', () => `select lo_import('/etc/passwd') as a from mine`, /not allowed/],
  ['runs text as SQL', () => `select query_to_xml('select 1', true, true, '') as a from mine`, /not allowed/],
  ['sleeps', () => 'select pg_sleep(60) as a from mine', /not allowed/],
  ['ends other sessions', () => 'select pg_terminate_backend(1) as a from mine', /not allowed/],
  ['tells others', () => `select pg_notify('x', 'y') as a from mine`, /not allowed/],
  ['copies out', () => `copy mine to program 'sh'`, /must be a SELECT/],
  ['changes its role', () => 'set role weir_system', /must be a SELECT/],
  ['runs a block', () => 'do $$ begin end $$', /must be a SELECT/],
]

const definition = (sql: string, into: string) =>
  JSON.stringify({
    apiVersion: 'weir/v1',
    kind: 'Pipeline',
    name: `p-${into.replaceAll('_', '-')}`,
    steps: [{ id: 'only', sql, into }],
  })
const save = (source: string) =>
  acme.fetch('/v1/pipelines', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: source,
  })
const newName = () => `made_${crypto.randomUUID().slice(0, 8)}`

describe('SQL', () => {
  it.each(hostile)(
    'that %s is refused when it is saved, and when it is run for all that',
    async (_, sql, words) => {
      const into = newName()
      const refused = await json<{ code: string; fields: { path: string; message: string }[] }>(
        await save(definition(sql(), into)),
        422,
      )
      expect(refused).toMatchObject({
        code: 'invalid',
        fields: [{ path: 'steps[0].sql', message: expect.stringMatching(words) }],
      })

      const { id } = await json<{ id: string }>(await save(definition('select id from mine', into)), 201)
      await owner.query(
        `update pipeline_versions set definition = jsonb_set(definition, '{steps,0,sql}', to_jsonb($2::text)) where pipeline_id = $1`,
        [id, sql()],
      )
      const run = await finished(acme, id)
      expect(run).toMatchObject({
        state: 'failed',
        steps: [{ state: 'failed', attempt: 1, error: { code: 'sql_refused' } }],
      })
      expect(run.steps[0]?.error?.message).toMatch(words)
      expect(await leftovers(owner, run.id)).toEqual(nothing)
      const { rows } = await owner.query('select from datasets where tenant_id = $1 and name = $2', [
        acme.id,
        into,
      ])
      expect(rows).toEqual([])
      expect(await tally(owner, mine)).toEqual(tallyOf(10))
      expect(await tally(owner, theirs)).toEqual(tallyOf(20))
    },
  )

  it('that names another tenant’s dataset finds none', async () => {
    const { id } = await json<{ id: string }>(
      await save(definition('select id from secrets', newName())),
      201,
    )
    const run = await finished(acme, id)
    expect(run).toMatchObject({
      state: 'failed',
      steps: [{ error: { code: 'no_dataset', message: expect.stringContaining('"secrets"') } }],
    })
  })
})

describe('the role that a tenant’s SQL runs as', () => {
  let session: pg.Client
  beforeAll(async () => {
    session = new pg.Client({ connectionString: given('env')['DATABASE_URL'] })
    await session.connect()
    await session.query(
      `select set_config('app.claim', $1, false), set_config('role', 'weir_query', false)`,
      [await claimOf(acme.id)],
    )
  })
  afterAll(() => session.end())
  const claimOf = (tenantId: TenantId) =>
    claimSigner(given('env')['CLAIM_KEY'] ?? '', () => new Date())(tenantId, 'job')

  it('sees nothing of another tenant, were the parser not there', async () => {
    expect(await tally(session, mine)).toEqual(tallyOf(10))
    expect(await tally(session, theirs)).toEqual(tallyOf(0))
    expect(await codeOf(session.query(`insert into ${theirs} values (1)`))).toBe('42501')
    expect(await codeOf(session.query(`update ${mine} set id = 0`))).toBe('42501')
    expect(await codeOf(session.query(`delete from ${mine}`))).toBe('42501')
    expect(await codeOf(session.query(`drop table ${mine}`))).toBe('42501')
    expect(await codeOf(session.query('create table public.x (a int)'))).toBe('42501')
    for (const table of ['runs', 'connections', 'api_keys', 'users', 'data_keys']) {
      expect([table, await codeOf(session.query(`select from ${table}`))]).toEqual([table, '42501'])
    }
    const forged = `${other.id}${(await claimOf(acme.id)).slice(acme.id.length)}`
    await session.query(`select set_config('app.claim', $1, false)`, [forged])
    expect(await tally(session, theirs)).toEqual(tallyOf(0))
    expect(await tally(session, mine)).toEqual(tallyOf(0))
  })
})
