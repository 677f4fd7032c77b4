import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { allowedBy, grantKinds, letterOf, levels } from '#src/domain/access.ts'
import { newId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import { can, permissions, roles, type Actor, type Permission, type Role } from '#src/domain/role.ts'
import { appSession, type AppSession } from '#test/support/app-session.ts'
import { plannedPipeline } from '#test/support/engine-calls.ts'
import { fillEveryTable, tenantTables } from '#test/support/every-table.ts'
import { world, type World } from '#test/support/world.ts'

/** All of these are needed, or one; else it is for whose row it is, for our own work, for everybody of the tenant or nobody. */
type Ask = readonly Permission[] | { oneOf: readonly Permission[] } | 'own' | 'job' | 'any' | 'nobody'
type Asks = readonly [reads: Ask, writes: Ask, inserts?: Ask]

/**
 * What each table asks of who reads it and of who writes it. Whether there is a way to write it at all is in the rights of
 * weir_app, which the catalogue knows.
 */
const asks: Record<string, Asks> = {
  pipelines: [{ oneOf: ['pipelines:read', 'runs:read'] }, ['pipelines:write']],
  pipeline_versions: [{ oneOf: ['pipelines:read', 'runs:read'] }, ['pipelines:write']],
  schedules: [['pipelines:read'], ['pipelines:write']],
  triggers: [['pipelines:read'], ['pipelines:write']],
  trigger_sources: [['pipelines:read'], ['pipelines:write']],
  connections: [['connections:read'], ['connections:write']],
  stored_files: [['connections:read'], ['connections:write']],
  channels: [['connections:read'], ['connections:write']],
  // Days have names that whoever writes a pipeline must find, also one that a grant reaches.
  calendars: ['any', ['pipelines:write']],
  datasets: [['datasets:read'], ['datasets:write']],
  dataset_versions: [['datasets:read'], ['datasets:write']],
  runs: [['runs:read'], ['runs:write']],
  steps: [['runs:read'], ['runs:write']],
  run_events: [['runs:read'], ['runs:write']],
  run_logs: [['runs:read'], ['runs:write']],
  quality_results: [['runs:read'], ['runs:write']],
  dead_letters: [['runs:read'], ['runs:write']],
  backfills: [['runs:read'], ['runs:write']],
  alerts: [['runs:read'], ['runs:write']],
  waiting_fires: [['runs:read'], ['runs:write']],
  webhook_receipts: [['runs:read'], ['runs:write']],
  projects: [['projects:read'], ['projects:write']],
  roles: [['access:read'], ['access:write']],
  grants: [['access:read'], ['access:write']],
  memberships: [['members:read'], ['members:write']],
  former_members: [['members:read'], ['members:write']],
  invitations: [['members:read'], ['members:write']],
  sessions: [['members:read'], ['members:write']],
  // A provider over SCIM sees teams too; who is put into one gets its grants.
  teams: [{ oneOf: ['members:read', 'scim:write'] }, ['members:write']],
  team_members: [
    { oneOf: ['members:read', 'scim:write'] },
    ['members:write'],
    ['members:write', 'access:write'],
  ],
  scim_users: [['scim:write'], ['scim:write']],
  // The row is somebody else's: what one may do to one's own is tested below.
  api_keys: [['api-keys:read'], ['api-keys:write'], 'own'],
  service_accounts: [['api-keys:read'], ['api-keys:write']],
  integrations: [['tenant:read'], ['tenant:write']],
  // Which columns, is tested below.
  tenants: [{ oneOf: ['tenant:read', 'limits:write', 'sso:write', 'usage:read'] }, ['tenant:write']],
  sso_providers: [['sso:read'], ['sso:write']],
  sso_domains: [['sso:read'], ['sso:write']],
  sso_identities: [['sso:read'], ['sso:write']],
  sso_attempts: [['sso:write'], ['sso:write']],
  audit_entries: [['audit:read'], 'nobody'],
  audit_heads: [['audit:read'], 'nobody'],
  audit_streams: [['audit:read'], ['audit:read', 'connections:write']],
  meterings: [['usage:read'], 'nobody'],
  usage: [['usage:read'], 'nobody'],
  usage_totals: [['usage:read'], 'nobody'],
  request_counts: [['usage:read'], 'nobody'],
  // Sealed with a key that the database does not have; every secret needs it, also of what a grant reaches.
  data_keys: ['any', 'any'],
  outbox: ['job', 'job'],
  idempotency_keys: ['own', 'own'],
}

let here: World
let owner: pg.Client
let app: AppSession
let tenant: TenantId
let pipeline: PipelineId
let run: RunId

beforeAll(async () => {
  here = await world()
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  app = await appSession()
  tenant = (await here.tenant()).id
  await fillEveryTable(owner, tenant)
  pipeline = await plannedPipeline(owner, tenant, [{ key: 's', needs: [], when: 'all_success' }])
  run = newId('run')
  await owner.query(
    `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, events, logs)
     select $1, $3, $2, id, 'queued', 'manual', '{}', 'x', 1, 1, 1 from pipeline_versions where pipeline_id = $2`,
    [tenant, pipeline, run],
  )
  await owner.query(
    `insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state) values ($1, $2, 's', 'wait', 0, '{}', 'all_success', 'ready')`,
    [tenant, run],
  )
})

afterAll(async () => {
  await app.end()
  await owner.end()
  await here.close()
})

const actorWith = (role: Role): Actor => ({
  kind: 'user',
  userId: newId('user'),
  role,
  sessionId: newId('session'),
})

type Commands = 'select' | 'insert' | 'update' | 'delete'

const columns = new Map<string, Promise<string[]>>()

/** The columns that the Worker's login may use for this; with none, or no right to the table, it is refused whoever asks. */
const columnsFor = (table: string, command: Commands): Promise<string[]> => {
  const known = columns.get(`${command} ${table}`) ?? askColumns(table, command)
  columns.set(`${command} ${table}`, known)
  return known
}

async function askColumns(table: string, command: Commands): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    command === 'delete'
      ? `select 'row' as name where has_table_privilege('weir_app', $1, $2)`
      : `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped
          and has_column_privilege('weir_app', $1, attname, $2) order by attname = 'tenant_id', attname`,
    [`public.${table}`, command],
  )
  return rows.map(({ name }) => name)
}

const allows = (actor: Actor, ask: Ask): boolean => {
  if (typeof ask === 'string') return ask === 'any' || (ask === 'job' && actor.kind === 'job')
  return 'oneOf' in ask ? ask.oneOf.some((one) => can(actor, one)) : ask.every((one) => can(actor, one))
}

const refused = '42501'

/** What the four commands come to: a refusal where there is no right, else what the permissions say. */
async function expected(actor: Actor, table: string, [reads, writes, inserts = writes]: Asks) {
  const open = async (command: Commands) => (await columnsFor(table, command)).length > 0
  const both = allows(actor, reads) && allows(actor, writes) ? 'some' : 'none'
  return {
    select: (await open('select')) ? (allows(actor, reads) ? 'some' : 'none') : refused,
    // What is there already is refused only after the policies have let it through.
    insert: (await open('insert')) && allows(actor, inserts) ? '23505' : refused,
    update: (await open('update')) ? both : refused,
    delete: (await open('delete')) ? both : refused,
  }
}

async function seen(actor: Actor, table: string) {
  const attempt = async (text: string, values: unknown[] = []) => {
    const outcome = await app.attempt(tenant, actor, text, values)
    if (typeof outcome === 'number') return outcome > 0 ? 'some' : 'none'
    // What others refer to is not deleted, but it is reached; a column that needs more than its row is not.
    return outcome === '23503' ? 'some' : outcome === 'WE403' ? 'none' : outcome
  }
  const { rows } = await owner.query<{ row: unknown }>(
    `select to_jsonb(t) as row from ${table} t where tenant_id = $1 limit 1`,
    [tenant],
  )
  const [column = 'tenant_id'] = await columnsFor(table, 'update')
  return {
    select: await attempt(`select 1 from ${table}`),
    insert: await attempt(
      `insert into ${table} overriding system value select * from jsonb_populate_record(null::${table}, $1)`,
      [JSON.stringify(rows[0]?.row)],
    ),
    update: await attempt(`update ${table} set ${column} = ${column}`),
    delete: await attempt(`delete from ${table}`),
  }
}

describe('the policies', () => {
  it('are tried on every table that there is', async () => {
    const tables = await tenantTables(owner)
    expect(tables.length).toBeGreaterThan(40)
    expect(tables.filter((one) => asks[one] === undefined)).toEqual([])
    expect(Object.keys(asks).filter((one) => !tables.includes(one))).toEqual([])
  })

  it('ask the Worker for more than the tenant, but where it is said why not', async () => {
    const { rows } = await owner.query<{
      name: string
      command: Commands
      text: string
      reason: string | null
    }>(`
      select p.tablename as name, lower(p.cmd) as command, coalesce(p.qual, '') || ' ' || coalesce(p.with_check, '') as text, a.reason
      from pg_policies p
      left join app.asks_only_for_tenant a on a.name = p.tablename and a.command = lower(p.cmd)
      where p.schemaname = 'public' and 'weir_app' = any (p.roles)`)
    expect(rows.length).toBeGreaterThan(160)
    for (const { name, command, text, reason } of rows) {
      if ((await columnsFor(name, command)).length === 0) continue
      const asksMore = /app\.(may|may_any|may_give|is_job|actor|person)\(/.test(text)
      expect(asksMore || (reason ?? '').length > 20, `${command} of ${name}: ${text}`).toBe(true)
      expect(asksMore && reason !== null, `${command} of ${name} has a reason it does not need`).toBe(false)
    }
  })

  it('call nothing for each row that could be called once', async () => {
    const { rows } = await owner.query<{ name: string; text: string }>(`
      select p.tablename || '.' || p.policyname as name, coalesce(p.qual, '') || ' ' || coalesce(p.with_check, '') as text
      from pg_policies p where p.schemaname = 'public' and 'weir_app' = any (p.roles)`)
    for (const { name, text } of rows)
      expect(
        [...text.matchAll(/(.{0,10})\bapp\.(?:may|may_any|is_job|actor|person|tenant_id)\(/g)].filter(
          ([, before = '']) => !before.endsWith('SELECT '),
        ),
        name,
      ).toEqual([])
  })
})

const claims: { name: string; actor: Actor }[] = [
  ...roles.map((role) => ({ name: `the role ${role}`, actor: actorWith(role) })),
  { name: 'a job', actor: { kind: 'job', job: 'test' } },
]

describe.each(claims)('a claim of $name', ({ actor }) => {
  const has = (one: Permission): boolean => can(actor, one)

  it.each(Object.entries(asks))('does to %s what the table of roles says', async (table, ask) => {
    expect(await seen(actor, table)).toEqual(await expected(actor, table, ask))
  })

  it('moves no run that the table of roles does not let it move', async () => {
    const calls: [string, unknown[]][] = [
      [`select app.start_run($1, $2, 'manual', '{}')`, [newId('run'), pipeline]],
      [`select app.cancel_run($1)`, [run]],
      [`select app.mark_run($1, 'failed', 'x')`, [run]],
      [`select app.set_priority($1, 1, 'x')`, [run]],
      [`select app.claim_step($1, null, 'd', false, 1000)`, [run]],
      [`select app.write_log($1, 's', 0, '[]')`, [run]],
      [`select app.pause_pipeline($1, 'x')`, [pipeline]],
    ]
    for (const [text, values] of calls) {
      const outcome = await app.attempt(tenant, actor, text, values)
      expect(outcome, text).toBe(has('runs:write') ? 1 : has('runs:read') ? 'WE403' : 'WE404')
    }
    expect(await app.attempt(tenant, actor, 'select app.limit_tenant(3)')).toBe(
      has('limits:write') ? 1 : 'WE403',
    )
  })
})

describe('one’s own API keys', () => {
  const viewer = actorWith('viewer')
  const admin = actorWith('admin')
  const values = (id: string, of: string) =>
    [
      id,
      of,
      `insert into api_keys (tenant_id, id, name, key_hash, hint, scopes, user_id, created_by) values ($1, $2, 'k', $2, 'h', '{}', $3, 'x')`,
    ] as const
  const insert = (actor: Actor, of: string) => {
    const [id, user, text] = values(newId('apiKey'), of)
    return app.attempt(tenant, actor, text, [tenant, id, user])
  }

  it('need no permission, and show nobody else’s', async () => {
    if (viewer.kind !== 'user') throw new Error('a viewer is a person')
    const [id, user, text] = values(newId('apiKey'), viewer.userId)
    await owner.query(text, [tenant, id, user])
    expect(await app.attempt(tenant, viewer, 'select key_hash from api_keys')).toBe(1)
    expect(await app.attempt(tenant, viewer, 'update api_keys set revoked_at = now()')).toBe(1)
    expect(await insert(viewer, viewer.userId)).toBe(1)
    expect(await app.attempt(tenant, actorWith('viewer'), 'select key_hash from api_keys')).toBe(0)
  })

  it('are nobody else’s to make, or to change into somebody else’s', async () => {
    if (admin.kind !== 'user' || viewer.kind !== 'user') throw new Error('they are people')
    expect(await insert(viewer, admin.userId)).toBe('42501')
    expect(await insert(admin, viewer.userId)).toBe('42501')
    expect(await insert(admin, admin.userId)).toBe(1)
    const key: Actor = {
      kind: 'api-key',
      keyId: newId('apiKey'),
      owner: admin.userId,
      scopes: ['api-keys:write'],
      asked: ['api-keys:write'],
    }
    expect(await insert(key, admin.userId)).toBe(1)
    expect(await insert(key, viewer.userId)).toBe('42501')
    expect(await app.attempt(tenant, admin, `update api_keys set user_id = 'usr_x'`)).toBe('42501')
  })
})

describe('the settings of a tenant', () => {
  const permissionOf: Record<string, Permission> = {
    name: 'tenant:write',
    request_limits: 'tenant:write',
    origins: 'tenant:write',
    ip_allow: 'tenant:write',
    mfa_roles: 'tenant:write',
    settings: 'tenant:write',
    audit_retention_days: 'tenant:write',
    log_retention_days: 'tenant:write',
    max_run_ms: 'limits:write',
    retention_days: 'limits:write',
    require_sso: 'sso:write',
  }

  it('ask for the permission of each column', async () => {
    expect(await columnsFor('tenants', 'update')).toEqual(Object.keys(permissionOf).sort())
    for (const actor of roles.map(actorWith))
      for (const [column, permission] of Object.entries(permissionOf)) {
        const may = ['tenant:write', 'limits:write', 'sso:write'] as const
        const found = may.some((one) => can(actor, one))
        expect(
          await app.attempt(tenant, actor, `update tenants set ${column} = ${column}`),
          `${actor.kind === 'user' ? actor.role : ''} ${column}`,
        ).toBe(can(actor, permission) ? 1 : found ? 'WE403' : 0)
      }
  })

  it('leave the name to everybody who is let in, and nothing else', async () => {
    const guest = actorWith('guest')
    expect(await app.attempt(tenant, guest, 'select from tenants')).toBe(0)
    expect(await app.attempt(tenant, guest, 'select where app.tenant_name() is not null')).toBe(1)
  })
})

describe('levels of grants', () => {
  it('allow the same in the database as in the code', async () => {
    let compared = 0
    for (const kind of grantKinds)
      for (const level of levels)
        for (const one of permissions) {
          const { rows } = await owner.query<{ allows: boolean }>(
            'select app.grant_allows($1, $2, $3) as allows',
            [kind, level, letterOf[one]],
          )
          expect(rows[0]?.allows, `${kind} ${level} ${one}`).toBe(allowedBy(kind, level).includes(one))
          compared++
        }
    expect(compared).toBe(4 * 4 * permissions.length)
  })

  it('have a letter of their own each', () => {
    expect(new Set(Object.values(letterOf)).size).toBe(permissions.length)
  })
})
