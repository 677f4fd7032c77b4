import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { manageTenant } from '#local/tenants.ts'
import { claimSigner } from '#src/db/claim.ts'
import { accessOf } from '#src/domain/access.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { keyFor, problem } from '#test/support/answers.ts'
import { member, ownerOf, send, type Person } from '#test/support/member.ts'
import { client } from '#test/support/own-stack.ts'
import { json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let db: pg.Client
let globex: Tenant
beforeAll(async () => {
  here = await world()
  db = await client(inject('ownerUrl'))
  globex = await here.tenant()
})
afterAll(async () => {
  await db.end()
  await here.close()
})

const claimOf = (id: TenantId) =>
  claimSigner(inject('env')['CLAIM_KEY'] ?? '', () => new Date())(
    id,
    'job:test',
    accessOf({ kind: 'job', job: 'test' }),
  )

async function fresh(): Promise<{ tenant: Tenant; boss: Person }> {
  const tenant = await here.tenant()
  return { tenant, boss: await ownerOf(here, db, tenant) }
}
const etag = async (by: Person) => (await by.fetch('/v1/tenant')).headers.get('etag') ?? ''
const patch = async (by: Person, body: object, query = '', match?: string) =>
  by.fetch(`/v1/tenant${query}`, {
    method: 'PATCH',
    body,
    headers: { 'If-Match': match ?? (await etag(by)) },
  })
const post = (by: Person, path: string, body?: object) =>
  by.fetch(path, { method: 'POST', ...(body ? { body } : {}) })

describe('the settings of a tenant', () => {
  it('are read with a tag, changed by who has seen them, and are nobody else’s', async () => {
    const { boss } = await fresh()
    const seen = await etag(boss)
    const change = {
      name: 'Renamed',
      limits: { user: 50 },
      origins: ['https://app.example.com'],
      mfaRoles: ['owner', 'admin'],
      retentionDays: 20,
      logRetentionDays: 10,
      auditRetentionDays: 400,
      sessionIdleMs: 3_600_000,
    }
    const changed = await patch(boss, change, '', seen)
    expect(await json(changed, 200)).toMatchObject(change)
    expect(changed.headers.get('etag')).toBe(await etag(boss))
    await problem(await patch(boss, { name: 'Late' }, '', seen), 412)
    await problem(await boss.fetch('/v1/tenant', { method: 'PATCH', body: { name: 'Blind' } }), 428)
    expect(await json(await boss.fetch('/v1/tenant'), 200)).toMatchObject(change)
    expect(await json<object>(await globex.fetch('/v1/tenant'), 200)).not.toMatchObject({ name: 'Renamed' })
    const lifted = await json<object>(await patch(boss, { logRetentionDays: null, sessionIdleMs: null }), 200)
    expect(lifted).not.toHaveProperty('logRetentionDays')
    expect(lifted).not.toHaveProperty('sessionIdleMs')
  })

  it('count from the next request on: the limit a minute', async () => {
    const { boss } = await fresh()
    await patch(boss, { limits: { user: 10 } })
    expect((await boss.fetch('/v1/me')).headers.get('ratelimit-policy')).toContain('q=10;')
    expect((await globex.fetch('/v1/me')).headers.get('ratelimit-policy')).toContain('q=1000;')
  })

  it('keep callers out by address, but never the one who says so unless it is meant', async () => {
    const { boss } = await fresh()
    expect((await problem(await patch(boss, { ipAllow: ['192.0.2.0/24'] }), 409)).detail).toContain('lock')
    expect((await patch(boss, { ipAllow: ['192.0.2.0/24', '2001:db8::/32'] })).status).toBe(200)
    expect((await boss.fetch('/v1/me')).status).toBe(200)
    expect((await patch(boss, { ipAllow: ['192.0.2.0/24'] }, '?force=true')).status).toBe(200)
    await problem(await boss.fetch('/v1/me'), 403)
    expect((await globex.fetch('/v1/me')).status).toBe(200)
  })

  it('are for owners alone, and a key with the permission', async () => {
    const { tenant } = await fresh()
    const admin = await member(here, db, tenant, 'admin')
    expect((await admin.fetch('/v1/tenant')).status).toBe(200)
    await problem(await patch(admin, { name: 'Mine' }), 403)
    await problem(await admin.fetch('/v1/tenant', { method: 'DELETE', body: { name: tenant.email } }), 403)
    for (const [path, body] of [
      ['suspend', { reason: 'x' }],
      ['resume', undefined],
      ['restore', undefined],
      ['transfer', { userId: admin.userId }],
    ] as const)
      await problem(await post(admin, `/v1/tenant/${path}`, body), 403)
    const key = await keyFor(tenant, ['tenant:read', 'tenant:write'])
    const match = (await key('/v1/tenant')).headers.get('etag') ?? ''
    const change = (body: object) =>
      key('/v1/tenant', { method: 'PATCH', body, headers: { 'If-Match': match } })
    await problem(await change({ name: 'By key', retentionDays: 3 }), 403)
    expect((await change({ name: 'By key' })).status).toBe(200)
    await problem(await key('/v1/tenant', { method: 'DELETE', body: { name: 'By key' } }), 403)
  })

  it.each([
    [{}, ['']],
    [{ name: ' ' }, ['name']],
    [{ limits: { user: 101 } }, ['limits.user']],
    [{ limits: { user: 1 } }, ['limits.user']],
    [{ origins: ['https://a.example/path'] }, ['origins.0']],
    [{ origins: ['null'] }, ['origins.0']],
    [{ ipAllow: ['10.0.0.1/8'] }, ['ipAllow.0']],
    [{ mfaRoles: ['king'] }, ['mfaRoles.0']],
    [{ sessionIdleMs: 1_000 }, ['sessionIdleMs']],
    [{ tenantId: 'ten_x' }, ['tenantId', '']],
  ])('refuse %j', async (body, fields) => {
    const { boss } = await fresh()
    expect((await problem(await patch(boss, body), 422)).fields?.map(({ path }) => path)).toEqual(fields)
  })
})

describe('an integration', () => {
  const put = (by: Person, kind: string, body: object) =>
    by.fetch(`/v1/tenant/integrations/${kind}`, { method: 'PUT', body })

  it('keeps its secret sealed and shows it to nobody', async () => {
    const { tenant, boss } = await fresh()
    const secret = { token: `very-secret-${crypto.randomUUID()}` }
    const made = await put(boss, 'vault', {
      address: 'https://127.0.0.1:8200',
      options: { mount: 'kv' },
      secret,
    })
    expect(await json(made, 200)).toMatchObject({ kind: 'vault', options: { mount: 'kv' }, hasSecret: true })
    const { rows } = await db.query<{ row: string; secret: string }>(
      'select to_jsonb(i)::text as row, secret from integrations i where tenant_id = $1',
      [tenant.id],
    )
    expect(rows[0]?.row).not.toContain(secret.token)
    const own = here.services.database.tenant(tenant.id, boss.userId)
    expect(
      JSON.parse(await here.services.secrets.unseal(own, 'integration:vault', rows[0]?.secret ?? '')),
    ).toEqual(secret)
    for (const path of ['', '/vault'])
      expect(await (await boss.fetch(`/v1/tenant/integrations${path}`)).text()).not.toContain(secret.token)
    expect(await json(await globex.fetch('/v1/tenant/integrations'), 200)).toEqual({ items: [] })
    await problem(await globex.fetch('/v1/tenant/integrations/vault'), 404)
    await problem(
      await put(await member(here, db, tenant, 'admin'), 'vault', { address: 'https://x.example', secret }),
      403,
    )
    expect((await boss.fetch('/v1/tenant/integrations/vault', { method: 'DELETE' })).status).toBe(204)
    await problem(await boss.fetch('/v1/tenant/integrations/vault'), 404)
  })

  it.each([
    ['vault', { address: 'ftp://a.example', secret: { token: 'x' } }],
    ['gitlab', { address: 'https://a.example', secret: { username: 'x', password: 'y' } }],
    ['airflow', { address: 'https://user:pw@a.example', secret: { token: 'x' } }],
    ['airflow', { address: 'https://a.example' }],
  ])('of kind %s is refused as %j', async (kind, body) => {
    const { boss } = await fresh()
    expect((await problem(await put(boss, kind, body), 422)).code).toBe('invalid')
  })

  it('reaches nothing private where that is forbidden', async () => {
    const strict = await world((services) => ({ ...services, allowPrivateHosts: false }))
    const { boss } = await fresh()
    for (const address of [
      'https://127.0.0.1',
      'https://169.254.169.254',
      'https://metadata.internal',
      strict.url,
    ]) {
      const answer = await send(strict, '/v1/tenant/integrations/vault', {
        method: 'PUT',
        headers: { Authorization: `Bearer ${boss.accessToken}` },
        body: { address, secret: { token: 'x' } },
      })
      expect([401, 422]).toContain(answer.status)
    }
    await strict.close()
  })
})

describe('a suspended tenant', () => {
  it('answers nobody but the owner who can let it go on, and fires nothing', async () => {
    const { tenant, boss } = await fresh()
    const viewer = await member(here, db, tenant, 'viewer')
    const id = await pipeline(
      tenant,
      'triggers: [{ cron: "0 4 1 1 *" }]\nsteps: [{ id: one, sql: "select 1 as n", into: one }]\n',
    )
    expect((await post(boss, '/v1/tenant/suspend', { reason: 'Moving house.' })).status).toBe(204)
    for (const who of [tenant, viewer, boss])
      expect((await problem(await who.fetch('/v1/pipelines'), 423)).detail).toContain('suspended')
    await db.query('begin')
    await db.query(`select set_config('app.claim', $1, true)`, [await claimOf(tenant.id)])
    const { rows } = await db.query('select app.start_run($1, $2, $3, $4)', [
      newId('run'),
      id,
      'manual',
      '{}',
    ])
    await db.query('rollback')
    expect(rows).toEqual([{ start_run: null }])
    await db.query('update schedules set next_fire_at = now() where tenant_id = $1', [tenant.id])
    const due = await db.query(
      `select tenant_id from app.due_schedules(interval '1 minute', 100000) where tenant_id = $1`,
      [tenant.id],
    )
    expect(due.rows).toEqual([])
    expect(await json(await boss.fetch('/v1/tenant'), 200)).toMatchObject({
      suspendedReason: 'Moving house.',
    })
    await problem(await post(viewer, '/v1/tenant/resume'), 423)
    expect((await globex.fetch('/v1/pipelines')).status).toBe(200)
    expect((await post(boss, '/v1/tenant/resume')).status).toBe(204)
    expect((await viewer.fetch('/v1/pipelines')).status).toBe(200)
    await problem(await post(boss, '/v1/tenant/resume'), 409)
  })

  it('stays it until the platform says otherwise, when the platform did it', async () => {
    const { tenant, boss } = await fresh()
    const env = inject('env')
    const options = {
      ownerUrl: inject('ownerUrl'),
      redis: { url: env['UPSTASH_REDIS_REST_URL'] ?? '', token: env['UPSTASH_REDIS_REST_TOKEN'] ?? '' },
    }
    expect((await tenant.fetch('/v1/pipelines')).status).toBe(200)
    await expect(manageTenant('suspend', tenant.id, options)).rejects.toThrow('--reason')
    await manageTenant('suspend', tenant.id, { ...options, reason: 'Unpaid.' })
    expect((await problem(await tenant.fetch('/v1/pipelines'), 423)).detail).toContain('suspended')
    expect((await problem(await post(boss, '/v1/tenant/resume'), 403)).detail).toContain('operator')
    expect(await manageTenant('status', tenant.id, options)).toContain('Unpaid.')
    await manageTenant('resume', tenant.id, options)
    expect((await tenant.fetch('/v1/pipelines')).status).toBe(200)
    await expect(manageTenant('resume', tenant.id, options)).rejects.toThrow('not suspended')
    await expect(manageTenant('suspend', 'ten_none', { ...options, reason: 'x' })).rejects.toThrow(
      'no tenant',
    )
  })
})

describe('deleting a tenant', () => {
  const end = (by: Person, body: object) => by.fetch('/v1/tenant', { method: 'DELETE', body })

  it('wants its name, refuses requests from then on, and can be taken back', async () => {
    const { tenant, boss } = await fresh()
    await problem(await end(boss, { name: tenant.email.toUpperCase() }), 422)
    const { deletesAt } = await json<{ deletesAt: string }>(await end(boss, { name: tenant.email }), 202)
    expect((Date.parse(deletesAt) - Date.now()) / 86_400_000).toBeCloseTo(30, 2)
    expect((await problem(await tenant.fetch('/v1/pipelines'), 423)).detail).toContain('delete')
    await problem(await end(boss, { name: tenant.email }), 409)
    expect((await globex.fetch('/v1/pipelines')).status).toBe(200)
    expect((await post(boss, '/v1/tenant/restore')).status).toBe(204)
    expect((await tenant.fetch('/v1/pipelines')).status).toBe(200)
    await problem(await post(boss, '/v1/tenant/restore'), 409)
  })

  it('wants a fresh proof of who asks, as handing it over does', async () => {
    const { tenant, boss } = await fresh()
    const heir = await member(here, db, tenant, 'admin')
    await db.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
      boss.userId,
    ])
    const handOver = () => post(boss, '/v1/tenant/transfer', { userId: heir.userId })
    expect((await problem(await end(boss, { name: tenant.email }), 403)).detail).toContain('step-up')
    expect((await problem(await handOver(), 403)).detail).toContain('step-up')
    expect((await post(boss, '/v1/me/step-up', { password: boss.password })).status).toBeLessThan(300)
    expect((await handOver()).status).toBe(204)
  })

  it('cannot be taken back when its time is over', async () => {
    const { tenant, boss } = await fresh()
    await end(boss, { name: tenant.email, graceDays: 1 })
    await db.query(`update tenants set deletes_at = now() + interval '1 s' where tenant_id = $1`, [tenant.id])
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect((await post(boss, '/v1/tenant/restore')).status).toBeGreaterThanOrEqual(400)
    await db.query('update tenants set deletes_at = null where tenant_id = $1', [tenant.id])
  })
})

describe('a person in several tenants', () => {
  type Own = { items: { id: string; name: string; role: string }[] }
  const own = async (who: Person) => (await json<Own>(await who.fetch('/v1/me/tenants'), 200)).items
  const to = (who: Person, tenantId: string) => post(who, '/v1/sessions/switch', { tenantId })

  it('sees them, opens further ones and goes from one to the other', async () => {
    const { tenant, boss } = await fresh()
    expect(await own(boss)).toMatchObject([{ id: tenant.id, role: 'owner' }])
    const made = await json<{ id: string }>(await post(boss, '/v1/me/tenants', { name: 'Second' }), 201)
    expect((await own(boss)).map(({ name, role }) => [name, role])).toEqual([
      [tenant.email, 'owner'],
      ['Second', 'owner'],
    ])
    const there = await json<{ accessToken: string; tenant: { id: string } }>(await to(boss, made.id), 201)
    expect(there.tenant.id).toBe(made.id)
    const me = (token: string) =>
      send(here, '/v1/me', { method: 'GET', headers: { Authorization: `Bearer ${token}` } })
    expect(await json(await me(there.accessToken), 200)).toMatchObject({ tenant: { id: made.id } })
    // The session that one has gone from is over.
    await problem(await boss.fetch('/v1/me'), 401)
  })

  it('comes into none that they are not in, or no longer in', async () => {
    const { tenant } = await fresh()
    const guest = await member(here, db, tenant, 'viewer')
    await problem(await to(guest, globex.id), 404)
    const [home] = await own(guest)
    await db.query('delete from memberships where tenant_id = $1 and user_id = $2', [home?.id, guest.userId])
    await problem(await to(guest, home?.id ?? ''), 404)
    expect((await guest.fetch('/v1/me')).status).toBe(200)
    await problem(await tenant.fetch('/v1/me/tenants'), 403)
  })
})
