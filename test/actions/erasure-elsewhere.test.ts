import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { manageTenant } from '#local/tenants.ts'
import { tick } from '#src/actions/tick.ts'
import { tenantKey } from '#src/storage/key.ts'
import { as } from '#test/support/answers.ts'
import { door, type Door } from '#test/support/door.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { client } from '#test/support/own-stack.ts'
import { connect, end, json, pipeline, readRun, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const warehouse = inject('warehouse')
let here: World
// Where no other test's tick looks.
let database: OwnDatabase
let db: pg.Client
let outside: pg.Client
const lines: { event?: unknown }[] = []
beforeAll(async () => {
  database = await ownDatabase()
  db = database.owner
  outside = await client(warehouse.url)
  here = await world((services) => ({ ...services, log: (line) => void lines.push(line) }), {
    ...inject('env'),
    DATABASE_URL: database.url,
  })
})
afterAll(async () => {
  await here.close()
  await outside.end()
  await database.leave()
})

/** A tenant with one of everything, and a load that its Worker did not bring to its end: the stage is in the warehouse. */
type Interrupted = { tenant: Tenant; way: Door; schema: string; runId: string }
async function interrupted(): Promise<Interrupted> {
  const tenant = await here.tenant()
  const schema = `e_${crypto.randomUUID().slice(0, 8)}`
  await outside.query(
    `create schema ${schema}; create table ${schema}.target (n integer); insert into ${schema}.target values (-1)`,
  )
  const way = await door(warehouse)
  await way.open()
  await connect(tenant, 'postgres', 'warehouse', { ...warehouse, host: way.host, port: way.port })
  const files = await connect(tenant, 'files')
  await upload(tenant, files, 'a.csv', 'a\n1\n')
  const id = await pipeline(
    tenant,
    `
retry: { attempts: 9, backoff: constant, first: 1h, jitter: false }
triggers: [{ cron: '0 4 * * *' }, { webhook: true }]
steps:
  - { id: rows, sql: "select n::int4 as n from generate_series(1, 10) n", into: rows }
  - { id: publish, load: { from: rows, connection: warehouse, table: ${schema}.target, mode: append } }
`,
  )
  await here.services.storage.put(tenantKey(tenant.id, 'files', 'b.csv'), 'x')
  await here.services.cache.set(`${tenant.id}:anything`, '1')
  // Whoever holds the target lets everything be staged, and nothing be published.
  const holder = await client(warehouse.url)
  try {
    await holder.query(`begin; lock table ${schema}.target in share mode`)
    const runId = await start(tenant, id)
    await until('the load to wait for its target', async () => {
      const { rows } = await outside.query(
        `select from pg_locks l join pg_class c on c.oid = l.relation
         where not l.granted and c.relnamespace = $1::regnamespace`,
        [schema],
      )
      return rows.length > 0
    })
    await way.shut()
    await until('the load to be tried again later', async () => {
      const run = await readRun(tenant, runId)
      return run.state === 'running' && run.steps[1]?.state === 'ready'
    })
    expect(await stagesIn(schema)).toHaveLength(1)
    return { tenant, way, schema, runId }
  } finally {
    await holder.end()
  }
}

const stagesIn = async (schema: string): Promise<string[]> =>
  (
    await outside.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = $1::regnamespace and relname like '\\_weir\\_%'`,
      [schema],
    )
  ).rows.map(({ name }) => name)

/** Where a row speaks of the tenant, in every table that there is, whatever its columns are called. */
async function tracesOf(text: string): Promise<Record<string, number>> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname in ('public', 'app', 'data') order by 1`,
  )
  const found: Record<string, number> = {}
  for (const { name } of tables) {
    const { rows } = await db.query<{ n: number }>(
      `select count(*)::int as n from ${name} t where strpos(to_jsonb(t)::text, $1) > 0`,
      [text],
    )
    if (rows[0]?.n) found[name] = rows[0].n
  }
  return found
}

/** Every table of the schema public that has a tenant, from the information schema. */
async function rowsOf(tenant: Tenant): Promise<Record<string, number>> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.columns
     where column_name in ('tenant_id', 'tenant') and table_schema not in ('pg_catalog', 'information_schema')
       and table_schema <> 'app' order by 1`,
  )
  expect(tables.length).toBeGreaterThan(40)
  const found: Record<string, number> = {}
  for (const { name } of tables) {
    const { rows } = await db.query<{ n: number }>(
      `select count(*)::int as n from ${name} t where to_jsonb(t)->>'tenant_id' = $1 or to_jsonb(t)->>'tenant' = $1`,
      [tenant.id],
    )
    if (rows[0]?.n) found[name] = rows[0].n
  }
  return found
}

async function keysOf(tenant: Tenant): Promise<string[]> {
  const found: string[] = []
  let cursor = '0'
  do {
    const [next, names] = await here.services.cache.scan(cursor, { match: `*${tenant.id}*`, count: 1_000 })
    found.push(...names)
    cursor = next
  } while (cursor !== '0')
  return found
}

const objectsOf = async (tenant: Tenant) =>
  (await here.services.storage.list(tenant.id, '')).objects.map(({ key }) => key)

const dataTablesOf = async (tenant: Tenant) =>
  (await db.query(`select from pg_policies where schemaname = 'data' and strpos(qual, $1) > 0`, [tenant.id]))
    .rowCount

const receiptOf = async (tenant: Tenant) =>
  (
    await db.query<{ stage: string; counts: Record<string, number>; finished_at: Date | null }>(
      'select stage, counts, finished_at from app.erasures where tenant = $1',
      [tenant.id],
    )
  ).rows[0]

/** Its owner deletes it, and the days of grace go by. */
async function deleteAndWait({ tenant }: Interrupted): Promise<void> {
  const asked = await as(tenant, tenant.accessToken)('/v1/tenant', {
    method: 'DELETE',
    body: { name: tenant.email, graceDays: 1 },
  })
  await json(asked, 202)
  await tick(here.services)
  await db.query(`update tenants set deletes_at = deletes_at - interval '25 hours' where tenant_id = $1`, [
    tenant.id,
  ])
}

/** The clock goes forward: what was put off is due. */
async function later(by = '1 hour'): Promise<void> {
  await db.query(
    `update outbox set send_after = send_after - $1::interval where kind = 'connection.drop_stage'`,
    [by],
  )
  await db.query(
    `update app.erasures set busy_until = null, asked_at = asked_at - $1::interval where finished_at is null`,
    [by],
  )
  await tick(here.services)
}

const status = async (tenant: Tenant) =>
  JSON.parse(await manageTenant('status', tenant.id, { ownerUrl: database.ownerUrl })) as {
    erasure: { stage: string; waitsFor?: { what: string; name: string; state: string; attempts: number }[] }
  }

describe('a tenant that is erased while a load of it is interrupted', () => {
  it('leaves nothing in the database, in storage, in Redis and in its warehouse, once that can be reached', async () => {
    const [acme, globex] = [await interrupted(), await interrupted()]
    await deleteAndWait(acme)
    for (let i = 0; i < 3; i++) await later()
    // Nothing is forgotten as long as the warehouse is away, and whoever looks sees what is waited for.
    expect(await receiptOf(acme.tenant)).toMatchObject({ stage: 'runs', finished_at: null })
    expect(await stagesIn(acme.schema)).toHaveLength(1)
    const { erasure } = await status(acme.tenant)
    expect(erasure).toMatchObject({
      stage: 'runs',
      waitsFor: [{ what: 'stage in a warehouse', state: 'connection warehouse' }],
    })
    expect(erasure.waitsFor?.[0]?.name).toContain(`beside ${acme.schema}.target`)
    expect(erasure.waitsFor?.[0]?.attempts).toBeGreaterThan(1)
    expect((await rowsOf(acme.tenant))['public.connections']).toBe(2)

    await acme.way.open()
    await until('the stage to be dropped', async () => {
      await later()
      return (await stagesIn(acme.schema)).length === 0
    })
    await until('the erasure to be over', async () => {
      await later()
      return (await receiptOf(acme.tenant))?.finished_at ?? false
    })
    expect((await receiptOf(acme.tenant))?.counts).not.toHaveProperty('left in warehouses')
    expect(await rowsOf(acme.tenant)).toEqual({})
    expect(await tracesOf(acme.tenant.id)).toEqual({ 'app.erasures': 1 })
    expect(await tracesOf(acme.tenant.email)).toEqual({})
    expect(await tracesOf(acme.schema)).toEqual({})
    expect(await dataTablesOf(acme.tenant)).toBe(0)
    expect(await objectsOf(acme.tenant)).toEqual([])
    expect(await keysOf(acme.tenant)).toEqual([])
    // What was published before is the tenant's own.
    expect((await outside.query(`select n from ${acme.schema}.target`)).rows).toEqual([{ n: -1 }])

    // The other one is as it was, its interrupted load too: that comes to its end.
    expect(await stagesIn(globex.schema)).toHaveLength(1)
    expect(await objectsOf(globex.tenant)).toHaveLength(2)
    expect(await here.services.cache.get(`${globex.tenant.id}:anything`)).toBe('1')
    await globex.way.open()
    await db.query(
      `update steps set next_attempt_at = now() where tenant_id = $1 and next_attempt_at is not null`,
      [globex.tenant.id],
    )
    await db.query(`update outbox set not_before = now(), send_after = now() where tenant_id = $1`, [
      globex.tenant.id,
    ])
    await tick(here.services)
    expect((await end(globex.tenant, globex.runId)).state).toBe('succeeded')
    expect((await outside.query(`select count(*)::int as n from ${globex.schema}.target`)).rows).toEqual([
      { n: 11 },
    ])
    await acme.way.shut()
    await globex.way.shut()
  })

  it('is erased after a week though its warehouse stays away, and what is left there is named', async () => {
    const lost = await interrupted()
    const [stage] = await stagesIn(lost.schema)
    await deleteAndWait(lost)
    await later('1 hour')
    await later('6 days')
    expect(await receiptOf(lost.tenant)).toMatchObject({ stage: 'runs', finished_at: null })
    await later('25 hours')
    expect(await receiptOf(lost.tenant)).toMatchObject({
      stage: 'done',
      finished_at: expect.any(Date),
      counts: { 'left in warehouses': 1 },
    })
    expect(lines.filter(({ event }) => event === 'erase.left_in_warehouse')).toEqual([
      {
        event: 'erase.left_in_warehouse',
        tenantId: lost.tenant.id,
        stages: [`${stage ?? ''} beside ${lost.schema}.target of warehouse`],
      },
    ])
    expect(await tracesOf(lost.tenant.id)).toEqual({ 'app.erasures': 1 })
    expect(await rowsOf(lost.tenant)).toEqual({})
    expect(await stagesIn(lost.schema)).toEqual([stage])
    await outside.query(`drop schema ${lost.schema} cascade`)
  })
})
