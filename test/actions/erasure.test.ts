import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { eraseTenants, forgetWhatIsSpent, stopUnwantedRuns } from '#src/actions/erasure.ts'
import { tick } from '#src/actions/tick.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { tenantKey } from '#src/storage/key.ts'
import { member } from '#test/support/member.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { end, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
// Where no other test's tick looks.
let database: OwnDatabase
let db: pg.Client
beforeAll(async () => {
  database = await ownDatabase()
  db = database.owner
  here = await world((services) => services, { ...inject('env'), DATABASE_URL: database.url })
})
afterAll(async () => {
  await here.close()
  await database.leave()
})

/** Something of a tenant in the database, in object storage and in Redis. */
async function furnished(): Promise<Tenant> {
  const tenant = await here.tenant()
  const id = await pipeline(tenant, 'steps: [{ id: one, sql: "select 42 as n", into: made }]\n')
  expect((await end(tenant, await start(tenant, id))).state).toBe('succeeded')
  await json(
    await tenant.fetch('/v1/connections', { method: 'POST', body: { name: 'files', kind: 'files' } }),
    201,
  )
  for (const name of ['a', 'b', 'c'])
    await here.services.storage.put(tenantKey(tenant.id, 'files', name), 'x')
  await here.services.cache.set(`${tenant.id}:anything`, '1')
  return tenant
}

/** Every table of the database in which a row speaks of the tenant, whatever its column is called, and how many do. */
async function tracesOf(tenantId: TenantId): Promise<Record<string, number>> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'app', 'data') order by 1`,
  )
  expect(tables.length).toBeGreaterThan(30)
  const found: Record<string, number> = {}
  for (const { name } of tables) {
    const { rows } = await db.query<{ n: number }>(
      `select count(*)::int as n from ${name} t where strpos(to_jsonb(t)::text, $1) > 0`,
      [tenantId],
    )
    if (rows[0]?.n) found[name] = rows[0].n
  }
  return found
}

const dataTablesOf = async (tenantId: TenantId): Promise<number> =>
  (
    await db.query(
      `select from pg_policies where schemaname = 'data' and strpos(qual, $1) > 0 and policyname = 'tenant'`,
      [tenantId],
    )
  ).rowCount ?? 0

async function keysOf(tenantId: TenantId): Promise<string[]> {
  const found: string[] = []
  let cursor = '0'
  do {
    const [next, names] = await here.services.cache.scan(cursor, { match: `*${tenantId}*`, count: 1_000 })
    found.push(...names)
    cursor = next
  } while (cursor !== '0')
  return found
}

const objectsOf = async (tenantId: TenantId) =>
  (await here.services.storage.list(tenantId, '')).objects.map(({ key }) => key)

const over = (tenantId: TenantId) =>
  db.query(`update tenants set deletes_at = now() - interval '1 s' where tenant_id = $1`, [tenantId])

async function receipt(tenantId: TenantId) {
  const { rows } = await db.query<{
    stage: string
    counts: Record<string, number>
    finished_at: Date | null
  }>('select stage, counts, finished_at from app.erasures where tenant = $1', [tenantId])
  return rows[0]
}

describe('the erasure of a tenant', () => {
  it('leaves not one row, table, object or key of it, and everything of the other', async () => {
    const [acme, globex] = [await furnished(), await furnished()]
    const guest = await member(here, db, acme, 'viewer')
    // What the tick gathers and sends anyway is not what is looked for.
    await tick(here.services)
    const before = {
      rows: await tracesOf(globex.id),
      data: await dataTablesOf(globex.id),
      objects: await objectsOf(globex.id),
    }
    expect(Object.keys(await tracesOf(acme.id)).length).toBeGreaterThan(10)
    expect(await dataTablesOf(acme.id)).toBeGreaterThan(0)

    await over(acme.id)
    await tick(here.services)
    expect(await receipt(acme.id)).toMatchObject({ stage: 'done', finished_at: expect.any(Date) })
    expect(await tracesOf(acme.id)).toEqual({ 'app.erasures': 1 })
    expect(await dataTablesOf(acme.id)).toBe(0)
    expect(await objectsOf(acme.id)).toEqual([])
    expect(await keysOf(acme.id)).toEqual([])

    const after = await tracesOf(globex.id)
    const lost = Object.entries(before.rows).filter(
      ([table, n]) => table !== 'outbox' && (after[table] ?? 0) < n,
    )
    expect(lost).toEqual([])
    expect(await dataTablesOf(globex.id)).toBe(before.data)
    expect(await objectsOf(globex.id)).toEqual(before.objects)
    expect(await here.services.cache.get(`${globex.id}:anything`)).toBe('1')
    expect((await globex.fetch('/v1/pipelines')).status).toBe(200)

    // Who was nowhere else is nobody any more; who has a tenant elsewhere is somebody still.
    const { rows } = await db.query<{ email: string; erased: boolean }>(
      'select email, erased_at is not null as erased from users where id = any($1) order by id = $2',
      [[acme.userId, guest.userId], guest.userId],
    )
    expect(rows).toEqual([
      { email: `${acme.userId}@erased.invalid`, erased: true },
      { email: guest.email, erased: false },
    ])
  })

  it('leaves a receipt that says how much went, and nothing of anybody', async () => {
    const tenant = await furnished()
    await over(tenant.id)
    await eraseTenants(here.services)
    const left = await receipt(tenant.id)
    expect(left?.counts).toMatchObject({
      objects: 3,
      'data tables': 1,
      accounts: 1,
      tenants: 1,
      runs: 1,
      connections: 1,
      pipelines: 1,
    })
    const { rows } = await db.query<{ row: string }>(
      'select to_jsonb(e)::text as row from app.erasures e where tenant = $1',
      [tenant.id],
    )
    for (const personal of [tenant.email, tenant.userId]) expect(rows[0]?.row).not.toContain(personal)
  })

  it('goes on where it stopped, whoever ticks, and whatever fails on the way', async () => {
    const tenant = await furnished()
    await over(tenant.id)
    let failures = 3
    const broken = {
      ...here.services,
      log: () => undefined,
      storage: {
        ...here.services.storage,
        remove: (key: Parameters<typeof here.services.storage.remove>[0]) =>
          failures-- > 0 ? Promise.reject(new Error('storage is away')) : here.services.storage.remove(key),
      },
    }
    await eraseTenants(broken)
    expect(await receipt(tenant.id)).toMatchObject({ stage: 'objects', finished_at: null })
    await db.query('update app.erasures set busy_until = null where tenant = $1', [tenant.id])
    await Promise.all([eraseTenants(here.services), eraseTenants(here.services), eraseTenants(here.services)])
    expect(await receipt(tenant.id)).toMatchObject({ stage: 'done' })
    expect(await tracesOf(tenant.id)).toEqual({ 'app.erasures': 1 })
  })

  it('reaches every table that holds a tenant’s rows, from the catalogue, those first that point at others', async () => {
    await db.query(`create table public.made_tomorrow (tenant_id text not null, id text not null, primary key (tenant_id, id),
      foreign key (tenant_id) references public.tenants (tenant_id))`)
    await db.query(`call app.wall('public.made_tomorrow')`)
    const tenant = await here.tenant()
    await db.query(`insert into made_tomorrow values ($1, 'x')`, [tenant.id])
    await over(tenant.id)
    await eraseTenants(here.services)
    expect(await receipt(tenant.id)).toMatchObject({ stage: 'done', counts: { made_tomorrow: 1 } })
    expect(await tracesOf(tenant.id)).toEqual({ 'app.erasures': 1 })
    await db.query('drop table public.made_tomorrow')
  })

  it('touches nobody whose time is not over, and nothing when asked without one', async () => {
    const tenant = await furnished()
    await db.query(`update tenants set deletes_at = now() + interval '1 hour' where tenant_id = $1`, [
      tenant.id,
    ])
    await eraseTenants(here.services)
    expect(await receipt(tenant.id)).toBeUndefined()
    for (const call of ['app.erase_rows($1, 100)', 'app.erase_people($1, 100)'])
      await db.query(`select ${call}`, [tenant.id])
    expect(Object.keys(await tracesOf(tenant.id)).length).toBeGreaterThan(10)
    expect(await objectsOf(tenant.id)).toHaveLength(3)
  })

  it('waits for what is still staged in a warehouse, a week at most', async () => {
    const tenant = await here.tenant()
    await db.query(
      `insert into outbox (tenant_id, kind, payload, send_after) values ($1, 'connection.drop_stage', '{}', '2999-01-01')`,
      [tenant.id],
    )
    await over(tenant.id)
    await eraseTenants(here.services)
    expect(await receipt(tenant.id)).toMatchObject({ stage: 'runs', finished_at: null })
    await db.query(
      `update app.erasures set busy_until = null, asked_at = now() - interval '8 days' where tenant = $1`,
      [tenant.id],
    )
    await eraseTenants(here.services)
    expect(await receipt(tenant.id)).toMatchObject({ stage: 'done', counts: { 'left in warehouses': 1 } })
  })

  it('waits for what runs to stop, and stops it', async () => {
    const tenant = await here.tenant()
    const id = await pipeline(tenant, 'steps: [{ id: nap, wait: { for: 1h } }]\n')
    const run = await start(tenant, id)
    // What is at work is told so first, and stops by itself.
    while ((await readRun(tenant, run)).state !== 'waiting') await pause(10)
    await db.query(`update tenants set deletes_at = now() + interval '1 hour' where tenant_id = $1`, [
      tenant.id,
    ])
    await stopUnwantedRuns(here.services)
    const { rows } = await db.query('select state from runs where id = $1', [run])
    expect(rows).toEqual([{ state: 'cancelled' }])
  })
})

describe('what is spent', () => {
  it('is forgotten of every tenant, and nothing that still counts', async () => {
    const [acme, globex] = [await here.tenant(), await here.tenant()]
    for (const { id } of [acme, globex]) {
      for (const age of ['1 hour', '26 hours'])
        await db.query(
          `insert into idempotency_keys (tenant_id, actor, key, fingerprint, state, locked_until, created_at)
           values ($1, 'x', $2::text, 'f', 'done', now(), now() - $2::text::interval)`,
          [id, age],
        )
      for (const until of ['31 days', '29 days'])
        await db.query(
          `insert into invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at)
           values ($1, $2::text, $2::text || '@example.com', 'viewer', $2::text, 'x', now() - $3::text::interval)`,
          [id, newId('invitation'), until],
        )
    }
    await db.query(`update sessions set expires_at = now() - interval '8 days' where tenant_id = $1`, [
      acme.id,
    ])
    await forgetWhatIsSpent(here.services)
    for (const { id } of [acme, globex]) {
      const left = await db.query<{ keys: number; invitations: number; sessions: number }>(
        `select (select count(*)::int from idempotency_keys where tenant_id = $1) as keys,
          (select count(*)::int from invitations where tenant_id = $1) as invitations,
          (select count(*)::int from sessions where tenant_id = $1) as sessions`,
        [id],
      )
      expect(left.rows).toEqual([{ keys: 1, invitations: 1, sessions: id === acme.id ? 0 : 1 }])
    }
  })

  it('includes logs, where a tenant keeps them for less time than its runs', async () => {
    const [acme, globex] = [await furnished(), await furnished()]
    for (const { id } of [acme, globex]) {
      await db.query(
        `insert into run_logs (tenant_id, run_id, seq, at, step_key, level, message)
         select tenant_id, id, 1, now(), 'one', 'info', 'said' from runs where tenant_id = $1`,
        [id],
      )
      await db.query(`update runs set finished_at = now() - interval '6 days' where tenant_id = $1`, [id])
    }
    await db.query('update tenants set log_retention_days = 5 where tenant_id = $1', [acme.id])
    await forgetWhatIsSpent(here.services)
    const logs = async (of: Tenant) =>
      (await db.query('select from run_logs where tenant_id = $1', [of.id])).rowCount
    expect([await logs(acme), await logs(globex)]).toEqual([0, 1])
    expect((await db.query('select from runs where tenant_id = $1', [acme.id])).rowCount).toBe(1)
  })
})
