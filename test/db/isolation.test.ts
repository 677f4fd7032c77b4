import { createHmac } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { claimSigner } from '#src/db/claim.ts'
import { accessOf } from '#src/domain/access.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { plannedPipeline } from '#test/support/engine-calls.ts'
import { fillEveryTable, tenantTables } from '#test/support/every-table.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let owner: pg.Client
let app: pg.Client
let here: World
let acme: Tenant
let globex: Tenant
let tables: string[]

beforeAll(async () => {
  here = await world()
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  app = new pg.Client({ connectionString: appUrl() })
  await app.connect()
  tables = await tenantTables(owner)
  await fillEveryTable(owner, globex.id)
})

afterAll(async () => {
  await app.end()
  await owner.end()
  await here.close()
})

/** The Worker's own login, straight to the server. */
function appUrl(): string {
  const url = new URL(inject('ownerUrl'))
  const { username, password, pathname } = new URL(inject('env')['DATABASE_URL'] ?? '')
  return Object.assign(url, { username, password, pathname }).href
}

const key = () => Buffer.from(inject('env')['CLAIM_KEY'] ?? '', 'base64url')
const signed = (text: string, by: Buffer = key()) =>
  `${text}.${createHmac('sha256', by).update(text).digest('hex')}`
const scope = accessOf({ kind: 'job', job: 'test' })
const soon = () => Math.floor(Date.now() / 1000) + 60
const claimOf = (tenant: TenantId) =>
  claimSigner(inject('env')['CLAIM_KEY'] ?? '', () => new Date())(tenant, 'test')

/** One statement as weir_app under a claim; undefined claims nothing. Always taken back. */
async function attempt(claim: string | undefined, text: string, values: unknown[] = []) {
  await app.query('begin')
  try {
    if (claim !== undefined) await app.query(`select set_config('app.claim', $1, true)`, [claim])
    return await app.query(text, values)
  } finally {
    await app.query('rollback')
  }
}

/** Rows that a statement reached; refused outright counts as none. */
async function reached(claim: string | undefined, text: string, values: unknown[] = []): Promise<number> {
  try {
    const result = await attempt(claim, text, values)
    return result.rowCount ?? 0
  } catch (error) {
    expect((error as { code?: string }).code).toBe('42501')
    return 0
  }
}

describe('the wall', () => {
  it('has forced row security and a tenant-leading primary key on every tenant table', async () => {
    expect(tables.length).toBeGreaterThan(12)
    const { rows } = await owner.query(
      `select c.oid::regclass::text as name, c.relrowsecurity and c.relforcerowsecurity as forced,
        (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0] where i.indrelid = c.oid and i.indisprimary) as first,
        (select count(distinct p.polcmd) from pg_policy p where p.polrelid = c.oid and p.polroles @> array['weir_app'::regrole::oid]) as commands
       from pg_class c where c.oid = any($1::regclass[])`,
      [tables],
    )
    for (const row of rows) expect(row).toMatchObject({ forced: true, first: 'tenant_id', commands: '4' })
  })

  it('has a row of the other tenant in every tenant table, so that none of these tests passes on emptiness', async () => {
    for (const table of tables) {
      const { rows } = await owner.query(`select count(*)::int as n from ${table} where tenant_id = $1`, [
        globex.id,
      ])
      expect(rows[0]?.n, table).toBeGreaterThan(0)
    }
  })

  it("shows a tenant its own rows and never another's, on every table and command", async () => {
    const claim = await claimOf(acme.id)
    for (const table of tables) {
      expect(
        await reached(claim, `select 1 from ${table} where tenant_id = $1`, [globex.id]),
        `select ${table}`,
      ).toBe(0)
      expect(
        await reached(claim, `select 1 from ${table} where tenant_id <> $1`, [acme.id]),
        `select others ${table}`,
      ).toBe(0)
      expect(
        await reached(claim, `update ${table} set tenant_id = tenant_id where tenant_id = $1`, [globex.id]),
        `update ${table}`,
      ).toBe(0)
      expect(
        await reached(claim, `delete from ${table} where tenant_id = $1`, [globex.id]),
        `delete ${table}`,
      ).toBe(0)
    }
    expect(await reached(await claimOf(globex.id), 'select 1 from runs')).toBeGreaterThan(0)
  })

  it('refuses to write a row for another tenant, or to move one there', async () => {
    const claim = await claimOf(acme.id)
    for (const table of tables) {
      const { rows } = await owner.query<{ row: unknown }>(
        `select to_jsonb(t) as row from ${table} t where tenant_id = $1 limit 1`,
        [globex.id],
      )
      const insert = `insert into ${table} overriding system value select * from jsonb_populate_record(null::${table}, $1)`
      await expect(attempt(claim, insert, [JSON.stringify(rows[0]?.row)]), table).rejects.toMatchObject({
        code: '42501',
      })
    }
    await expect(
      attempt(await claimOf(globex.id), 'update connections set tenant_id = $1', [acme.id]),
    ).rejects.toMatchObject({ code: '42501' })
  })

  it.each([
    ['no claim', async () => undefined],
    ['an empty claim', async () => ''],
    [
      'an expired claim',
      async () => signed(`${globex.id}.test.${scope}.${Math.floor(Date.now() / 1000) - 1}`),
    ],
    [
      'a claim under another key',
      async () => signed(`${globex.id}.test.${scope}.${soon()}`, Buffer.alloc(32, 7)),
    ],
    [
      'another tenant put into a good claim',
      async () => (await claimOf(acme.id)).replace(acme.id, globex.id),
    ],
    [
      'a later expiry put into a good claim',
      async () => (await claimOf(globex.id)).replace(/\.\d+\./, `.${soon() + 9999}.`),
    ],
    ['a claim without its signature', async () => `${globex.id}.test.${scope}.${soon()}`],
    ['a claim with more after it', async () => `${await claimOf(globex.id)}0`],
  ])('shows nothing at all under %s', async (_, claim) => {
    const forged = await claim()
    for (const table of tables) expect(await reached(forged, `select 1 from ${table}`), table).toBe(0)
  })

  it('keeps people out of sight, and its keys out of reach', async () => {
    expect(await reached(await claimOf(acme.id), 'select 1 from users')).toBe(0)
    await expect(attempt(await claimOf(acme.id), 'select 1 from app.claim_keys')).rejects.toMatchObject({
      code: '42501',
    })
  })

  it('gives the Worker no role that could climb it', async () => {
    const { rows } = await owner.query(`
      with recursive reach as (
        select oid from pg_roles where rolname = 'weir_app'
        union select m.roleid from pg_auth_members m join reach r on m.member = r.oid)
      select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as strong from pg_roles where oid in (select oid from reach)`)
    expect(new Set(rows.map((row) => row.rolname))).toEqual(new Set(['weir_app', 'weir_query']))
    expect(rows.every((row) => row.strong === false)).toBe(true)
  })

  it('lets no function run with its owner’s rights without a fixed search path, and none for everybody', async () => {
    const { rows } = await owner.query(`
      select p.oid::regprocedure::text as name, p.proconfig::text as config, has_function_privilege('public', p.oid, 'execute') as open
      from pg_proc p where p.pronamespace = 'app'::regnamespace and p.prosecdef`)
    expect(rows.length).toBeGreaterThan(5)
    for (const row of rows) expect(row.config, row.name).toContain('search_path')
    expect(rows.filter((row) => row.open && row.name !== 'app.tenant_id()')).toEqual([])
  })

  it('has every function of the engine begin with the claim', async () => {
    const { rows } = await owner.query<{ name: string; text: string }>(`
      select p.oid::regprocedure::text as name, p.prosrc as text from pg_proc p
      where p.pronamespace = 'app'::regnamespace and p.prosecdef and p.proowner = 'weir_engine'::regrole`)
    expect(rows.length).toBeGreaterThan(5)
    expect(rows.filter(({ text }) => !/app\.enter\(\)/.test(text.split(/\bbegin\b/)[0] ?? ''))).toEqual([])
  })

  it('lets no setting of the session make the engine work for another tenant', async () => {
    const pipelineId = await plannedPipeline(owner, globex.id, [{ key: 'a', needs: [], when: 'all_success' }])
    await app.query('begin')
    await app.query(`select set_config('app.claim', $1, true), set_config('app.tenant', $2, true)`, [
      await claimOf(acme.id),
      globex.id,
    ])
    const { rows } = await app.query(`select app.start_run($1, $2, 'manual', '{}') as started`, [
      newId('run'),
      pipelineId,
    ])
    const seen = await app.query('select count(*)::int as n from runs where tenant_id = $1', [globex.id])
    await app.query('rollback')
    expect(rows).toEqual([{ started: null }])
    expect(seen.rows).toEqual([{ n: 0 }])
  })

  it('puts the same wall around the table of a dataset', async () => {
    const version = newId('datasetVersion')
    const run = newId('run')
    const { rows } = await owner.query<{ id: string }>(
      'select id from pipeline_versions where tenant_id = $1',
      [globex.id],
    )
    const pipeline = await owner.query<{ id: string }>('select id from pipelines where tenant_id = $1', [
      globex.id,
    ])
    await owner.query(
      `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished) values ($1, $2, $3, $4, 'queued', 'manual', '{}', 'x', 1)`,
      [globex.id, run, pipeline.rows[0]?.id, rows[0]?.id],
    )
    await app.query('begin')
    await app.query(`select set_config('app.claim', $1, true)`, [await claimOf(globex.id)])
    await app.query(
      `select app.create_version($1, $2, 'walled', $3, 's', '[{"name":"a; drop table \\"x","type":"integer"}]')`,
      [version, newId('dataset'), run],
    )
    await app.query(`insert into data."${version}" values (42)`)
    await app.query('commit')
    expect(await reached(await claimOf(globex.id), `select 1 from data."${version}"`)).toBe(1)
    for (const claim of [
      undefined,
      await claimOf(acme.id),
      signed(`${globex.id}.test.${scope}.${soon()}`, Buffer.alloc(32, 7)),
    ]) {
      expect(await reached(claim, `select 1 from data."${version}"`)).toBe(0)
      await expect(attempt(claim, `insert into data."${version}" values (1)`)).rejects.toMatchObject({
        code: '42501',
      })
      await expect(attempt(claim, `delete from data."${version}"`)).rejects.toMatchObject({ code: '42501' })
      await expect(attempt(claim, `drop table data."${version}"`)).rejects.toMatchObject({ code: '42501' })
    }
    const asQuery = await attempt(await claimOf(acme.id), `select set_config('role', 'weir_query', true)`)
    expect(asQuery.rowCount).toBe(1)
  })

  it('lets the role of tenant SQL read and fill dataset tables and see no other table', async () => {
    await app.query('begin')
    await app.query(`select set_config('app.claim', $1, true), set_config('role', 'weir_query', true)`, [
      await claimOf(globex.id),
    ])
    for (const table of [...tables, 'users', 'app.claim_keys']) {
      await app.query('savepoint s')
      await expect(app.query(`select 1 from ${table}`), table).rejects.toMatchObject({ code: '42501' })
      await app.query('rollback to s')
    }
    await app.query('rollback')
  })
})
