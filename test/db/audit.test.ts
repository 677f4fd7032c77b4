import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'
import { end, json, pipeline, start } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const database = await fileDatabase()
const { owner } = database
const here = await fileWorldOn(database)
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Entry = {
  action: string
  actor: string
  actor_kind: string
  target_kind: string
  target_id: string
  target_name: string | null
  address: string | null
  user_agent: string | null
  credential: string | null
  request_id: string | null
  records: string | null
  details: Record<string, unknown> & { changed?: Record<string, unknown> }
}
const entries = async (tenant: Tenant, action = ''): Promise<Entry[]> =>
  (
    await owner.query<Entry>(
      `select * from audit_entries where tenant_id = $1 and starts_with(action, $2) order by id`,
      [tenant.id, action],
    )
  ).rows
const fresh = () => `c${crypto.randomUUID().slice(0, 8)}`
const request = {
  'X-Request-Id': 'asked-for-this',
  'User-Agent': 'an auditor',
}
const keyOf = async (tenant: Tenant): Promise<string> =>
  (
    await owner.query<{ id: string }>(`select id from api_keys where tenant_id = $1 order by id limit 1`, [
      tenant.id,
    ])
  ).rows[0]?.id ?? ''
const channel = async (tenant: Tenant, name = fresh()) =>
  json<{ id: string; version: number }>(
    await tenant.fetch('/v1/channels', {
      method: 'POST',
      headers: request,
      body: { name, kind: 'webhook', config: { url: 'https://example.com/x' } },
    }),
    201,
  )

describe('every table behind the wall', () => {
  it('has its changes noted, or is in the list of those that have not, with the reason', async () => {
    const { rows } = await owner.query<{ name: string; audited: boolean; reason: string | null }>(`
      select c.relname as name, u.reason,
        exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'audit' and t.tgenabled = 'O') as audited
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      left join app.unaudited u on u.name = c.relname
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`)
    expect(rows.length).toBeGreaterThan(25)
    for (const { name, audited, reason } of rows)
      expect([name, audited], name).toEqual([name, reason === null])
    for (const { name, reason } of rows) if (reason !== null) expect(reason.length, name).toBeGreaterThan(7)
  })
})

describe('an entry', () => {
  it('says who, what, on what, when, from where, with which credential, and what has changed', async () => {
    const name = fresh()
    const { id } = await channel(acme, name)
    const key = await keyOf(acme)
    const changed = await acme.fetch(`/v1/channels/${id}`, {
      method: 'PATCH',
      headers: { ...request, 'If-Match': '"v1"' },
      body: { name: `${name}-2`, secret: { signingSecret: `whsec_${'A'.repeat(32)}` } },
    })
    expect(changed.status).toBe(200)
    expect((await acme.fetch(`/v1/channels/${id}`, { method: 'DELETE', headers: request })).status).toBe(204)
    const found = (await entries(acme, 'channel.')).filter(({ target_id }) => target_id === id)
    const common = {
      actor: key,
      actor_kind: 'api-key',
      target_kind: 'channel',
      credential: key,
      request_id: 'asked-for-this',
      user_agent: 'an auditor',
      address: expect.stringMatching(/^198\./),
    }
    expect(found).toMatchObject([
      { ...common, action: 'channel.create', target_name: name },
      { ...common, action: 'channel.update', target_name: `${name}-2` },
      { ...common, action: 'channel.delete', target_name: `${name}-2` },
    ])
    expect(found[1]?.details).toEqual({
      changed: { name: { from: name, to: `${name}-2` }, secret: { hidden: true } },
    })
    expect(found[0]?.details.changed).toMatchObject({ config: { to: { url: 'https://example.com/x' } } })
    expect((await entries(globex, 'channel.')).length).toBe(0)
  })

  it('is there for a tenant’s beginning and for each session, in the name of the one who came', async () => {
    const tenant = await here.tenant()
    expect(await entries(tenant, 'tenant.create')).toMatchObject([
      { actor: tenant.userId, actor_kind: 'user', target_id: tenant.id },
    ])
    expect(await entries(tenant, 'member.create')).toMatchObject([{ target_id: tenant.userId }])
    const [opened, ...more] = await entries(tenant, 'session.open')
    expect(opened).toMatchObject({ actor: tenant.userId, credential: expect.stringMatching(/^ses_/) })
    expect(more).toEqual([])
  })

  it('is there for a sign-in that was refused, in the log of whom it was tried as', async () => {
    const tenant = await here.tenant()
    const refused = await here.app.request('/v1/sessions', {
      method: 'POST',
      headers: { ...request, 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: tenant.email, password: 'wrong horse battery staple' }),
    })
    expect(refused.status).toBe(401)
    const found = () => entries(tenant, 'session.refused')
    await expect.poll(async () => (await found()).length).toBe(1)
    expect((await found())[0]).toMatchObject({
      actor: tenant.userId,
      target_id: tenant.userId,
      request_id: 'asked-for-this',
      user_agent: 'an auditor',
      details: { reason: 'password_wrong' },
    })
    expect(await entries(globex, 'session.refused')).toEqual([])
  })

  it('goes with a change that is taken back', async () => {
    const before = (await entries(globex)).length
    await owner.query('begin')
    await owner.query(`update tenants set name = 'another' where tenant_id = $1`, [globex.id])
    expect((await entries(globex)).length).toBe(before + 1)
    await owner.query('rollback')
    expect((await entries(globex)).length).toBe(before)
  })

  it('is not written for an update that changes nothing that counts', async () => {
    const before = (await entries(globex)).length
    await owner.query(`update tenants set name = name, forgotten_at = now() where tenant_id = $1`, [
      globex.id,
    ])
    expect((await entries(globex)).length).toBe(before)
  })

  it('names what people do to a pipeline and its runs, and is silent on what runs do themselves', async () => {
    const tenant = await here.tenant()
    const id = await pipeline(tenant, `steps: [{ id: a, sql: "select 1 as n", into: things }]`)
    const run = await start(tenant, id)
    await end(tenant, run)
    const post = async (path: string, body: unknown, status: number) =>
      expect((await tenant.fetch(path, { method: 'POST', body })).status).toBe(status)
    await post(`/v1/pipelines/${id}/pause`, { reason: 'looking at it' }, 200)
    await post(`/v1/pipelines/${id}/resume`, {}, 200)
    await post(`/v1/runs/${run}/rerun`, { from: 'all', reason: 'again' }, 202)
    expect(
      (await tenant.fetch(`/v1/pipelines/${id}`, { method: 'DELETE', headers: { 'If-Match': '*' } })).status,
    ).toBe(204)
    const found = await entries(tenant)
    expect(
      found.map(({ action }) => action).filter((action) => /^(pipeline|run|dataset)\./.test(action)),
    ).toEqual([
      'pipeline.create',
      'run.start',
      // Waiting for its end is reading its log.
      'run.logs',
      'pipeline.pause',
      'pipeline.resume',
      'run.rerun',
      'pipeline.delete',
    ])
    expect(found.find(({ action }) => action === 'run.start')).toMatchObject({
      target_id: run,
      details: { pipelineId: id, version: 1 },
    })
    expect(found.find(({ action }) => action === 'run.rerun')).toMatchObject({
      details: { of: run, from: 'all', reason: 'again' },
    })
  })

  it('counts the rows of data that were shown', async () => {
    const tenant = await here.tenant()
    const id = await pipeline(
      tenant,
      `steps: [{ id: a, sql: "select 1 as n union all select 2 union all select 3", into: shown }]`,
    )
    await end(tenant, await start(tenant, id))
    const { items } = await json<{ items: { id: string }[] }>(await tenant.fetch('/v1/datasets'), 200)
    const dataset = items[0]?.id ?? ''
    await json(await tenant.fetch(`/v1/datasets/${dataset}/preview?limit=2`), 200)
    await json(await tenant.fetch(`/v1/datasets/${dataset}/preview`), 200)
    expect(await entries(tenant, 'dataset.preview')).toMatchObject([
      { target_id: dataset, target_name: 'shown', records: '2' },
      { target_id: dataset, target_name: 'shown', records: '3' },
    ])
  })

  it('is there for what somebody was refused, ten a minute at most', async () => {
    const tenant = await here.tenant()
    const { key } = await json<{ key: string }>(
      await tenant.fetch('/v1/api-keys', {
        method: 'POST',
        headers: { Authorization: `Bearer ${tenant.accessToken}` },
        body: { name: 'little', scopes: ['runs:read'] },
      }),
      201,
    )
    for (let n = 0; n < 14; n++) {
      const refused = await tenant.fetch('/v1/channels', { headers: { Authorization: `Bearer ${key}` } })
      expect(refused.status).toBe(403)
      await expect
        .poll(async () => (await entries(tenant, 'access.refused')).length)
        .toBe(Math.min(n + 1, 10))
    }
    expect((await entries(tenant, 'access.refused'))[0]).toMatchObject({
      actor_kind: 'api-key',
      details: { method: 'GET', path: '/v1/channels' },
    })
  })
})

describe('what is secret', () => {
  it('is in no entry: no value of a column that holds secrets or hashes, of whatever table', async () => {
    await channel(acme)
    const connected = await acme.fetch('/v1/connections', {
      method: 'POST',
      body: {
        name: fresh(),
        kind: 'postgres',
        config: { host: 'db.example.com', port: 5432, database: 'd', user: 'u' },
        secret: { password: 'not-for-the-log-4711' },
      },
    })
    expect(connected.status, await connected.clone().text()).toBe(201)
    const { rows: columns } = await owner.query<{ table: string; column: string }>(`
      select c.oid::regclass::text as table, quote_ident(a.attname) as column
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname !~ '^audit_'
        and a.attname ~* 'secret|passw|token|hash|private|credential|sealed'`)
    expect(columns.length).toBeGreaterThan(5)
    const all =
      (
        await owner.query<{ text: string }>(
          `select jsonb_agg(to_jsonb(e))::text as text from audit_entries e`,
        )
      ).rows[0]?.text ?? ''
    expect(all.length).toBeGreaterThan(1_000)
    let looked = 0
    for (const { table, column } of columns) {
      const { rows } = await owner.query<{ value: string }>(
        `select ${column}::text as value from ${table} where length(${column}::text) > 12`,
      )
      for (const { value } of rows) {
        looked++
        expect(all.includes(value), `${table}.${column}`).toBe(false)
      }
    }
    expect(looked).toBeGreaterThan(5)
    for (const secret of [
      'not-for-the-log-4711',
      acme.apiKey,
      acme.password,
      acme.refreshToken,
      acme.accessToken,
    ])
      expect(all.includes(secret)).toBe(false)
  })

  it('is hidden inside a value too, by its name', async () => {
    const shown = await owner.query<{ v: unknown }>(
      `select app.audit_shown('{"host": "h", "deep": [{"apiToken": "x", "n": 1}], "clientSecret": "y"}') as v`,
    )
    expect(shown.rows[0]?.v).toEqual({ host: 'h', deep: [{ apiToken: '•••', n: 1 }], clientSecret: '•••' })
  })
})

describe('nobody', () => {
  it('writes, changes or takes an entry: not the Worker, not the system, not the owner', async () => {
    const app = new pg.Client({ connectionString: database.ownerUrl })
    await app.connect()
    const attempts = [
      `insert into audit_entries (tenant_id, actor, actor_kind, action, target_kind) values ('${acme.id}', 'usr_x', 'user', 'x.y', 'x')`,
      `update audit_entries set actor = 'usr_x' where tenant_id = '${acme.id}'`,
      `delete from audit_entries where tenant_id = '${acme.id}'`,
      `truncate audit_entries`,
      `update audit_heads set seq = 0 where tenant_id = '${acme.id}'`,
      `select app.note('${acme.id}', 'usr_x', 'x.y', 'x', 'x', '{}')`,
    ]
    await app.query('set role weir_app')
    for (const text of attempts) await expect(app.query(text), text).rejects.toMatchObject({ code: '42501' })
    await app.query('reset role')
    for (const role of ['set role weir_system', 'reset role']) {
      await app.query(role)
      for (const text of attempts.slice(1, 3))
        await expect(app.query(text), text).rejects.toMatchObject({ code: '42501' })
    }
    await app.end()
    expect((await entries(acme)).length).toBeGreaterThan(3)
  })

  it('notes something for another tenant, or without a claim', async () => {
    const app = new pg.Client({ connectionString: database.ownerUrl })
    await app.connect()
    await app.query('set role weir_app')
    await expect(app.query(`select app.note_own('x.y', 'x', 'x', '{}')`)).rejects.toMatchObject({
      code: '42501',
    })
    await app.end()
    const { rows } = await owner.query(`select distinct tenant_id from audit_entries where actor = $1`, [
      globex.userId,
    ])
    expect(rows).toEqual([{ tenant_id: globex.id }])
  })
})
