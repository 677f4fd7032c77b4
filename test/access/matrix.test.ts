import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { allowedBy, grantKinds, letterOf, levels } from '#src/domain/access.ts'
import { newId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import { granted, permissions, roles, type Actor, type Permission, type Role } from '#src/domain/role.ts'
import { appSession, type AppSession } from '#test/support/app-session.ts'
import { newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'

/** What each table asks of who reads it and of who writes it. */
const asks: Record<string, readonly [Permission, Permission]> = {
  pipelines: ['pipelines:read', 'pipelines:write'],
  pipeline_versions: ['pipelines:read', 'pipelines:write'],
  schedules: ['pipelines:read', 'pipelines:write'],
  triggers: ['pipelines:read', 'pipelines:write'],
  trigger_sources: ['pipelines:read', 'pipelines:write'],
  connections: ['connections:read', 'connections:write'],
  datasets: ['datasets:read', 'datasets:write'],
  dataset_versions: ['datasets:read', 'datasets:write'],
  runs: ['runs:read', 'runs:write'],
  steps: ['runs:read', 'runs:write'],
  run_events: ['runs:read', 'runs:write'],
  run_logs: ['runs:read', 'runs:write'],
  quality_results: ['runs:read', 'runs:write'],
  dead_letters: ['runs:read', 'runs:write'],
  backfills: ['runs:read', 'runs:write'],
  alerts: ['runs:read', 'runs:write'],
  projects: ['projects:read', 'projects:write'],
  roles: ['access:read', 'access:write'],
}

let owner: pg.Client
let app: AppSession
let tenant: TenantId
let pipeline: PipelineId
let run: RunId

beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  app = await appSession()
  tenant = await newBareTenant(owner)
  pipeline = await plannedPipeline(owner, tenant, [{ key: 's', needs: [], when: 'all_success' }])
  run = newId('run')
  const [dataset, trigger] = [newId('dataset'), newId('trigger')]
  const rows: [string, unknown[]][] = [
    [
      `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, events, logs)
       select $1, $3, $2, id, 'queued', 'manual', '{}', 'x', 1, 1, 1 from pipeline_versions where pipeline_id = $2`,
      [pipeline, run],
    ],
    [
      `insert into schedules (tenant_id, id, pipeline_id, cron, timezone, next_fire_at) values ($1, $2, $3, '0 0 1 1 *', 'UTC', '2999-01-01')`,
      [newId('schedule'), pipeline],
    ],
    [
      `insert into triggers (tenant_id, id, pipeline_id, key, kind, definition) values ($1, $2, $3, 'd', 'dataset', '{}')`,
      [trigger, pipeline],
    ],
    [
      `insert into trigger_sources (tenant_id, kind, name, trigger_id) values ($1, 'dataset', 'd', $2)`,
      [trigger],
    ],
    [
      `insert into connections (tenant_id, id, name, kind, config) values ($1, $2, 'c', 'files', '{}')`,
      [newId('connection')],
    ],
    [`insert into datasets (tenant_id, id, name) values ($1, $2, 'd')`, [dataset]],
    [
      `insert into dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key) values ($1, $2, $3, 'dropped', '[]', $4, 's')`,
      [newId('datasetVersion'), dataset, run],
    ],
    [
      `insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state) values ($1, $2, 's', 'wait', 0, '{}', 'all_success', 'ready')`,
      [run],
    ],
    [
      `insert into run_events (tenant_id, run_id, seq, type, actor) values ($1, $2, 1, 'run.queued', 'x')`,
      [run],
    ],
    [
      `insert into run_logs (tenant_id, run_id, seq, at, step_key, level, message) values ($1, $2, 1, now(), 's', 'info', 'x')`,
      [run],
    ],
    [
      `insert into quality_results (tenant_id, run_id, step_key, position, rule, on_fail, checked, failed, passed) values ($1, $2, 's', 0, 'not_null', 'warn', 1, 0, true)`,
      [run],
    ],
    [
      `insert into dead_letters (tenant_id, id, run_id, pipeline_id, step_key, code, message, attempts) values ($1, $2, $3, $4, 's', 'x', 'x', 1)`,
      [newId('deadLetter'), run, pipeline],
    ],
    [
      `insert into backfills (tenant_id, id, pipeline_id, version, asked, parameters, times, concurrency, skip_succeeded, created_by) values ($1, $2, $3, 1, '{}', '{}', array[now()], 1, false, 'x')`,
      [newId('backfill'), pipeline],
    ],
    [
      `insert into alerts (tenant_id, id, kind, pipeline_id, run_id) values ($1, $2, 'failed', $3, $4)`,
      [newId('alert'), pipeline, run],
    ],
    [`insert into projects (tenant_id, id, name, created_by) values ($1, $2, 'p', 'x')`, [newId('project')]],
    [
      `insert into roles (tenant_id, id, name, permissions, created_by) values ($1, $2, 'r', '{}', 'x')`,
      [newId('role')],
    ],
  ]
  for (const [text, values] of rows) await owner.query(text, [tenant, ...values])
})

afterAll(async () => {
  await app.end()
  await owner.end()
})

const actorWith = (role: Role): Actor => ({
  kind: 'user',
  userId: newId('user'),
  role,
  sessionId: newId('session'),
})

/** Whether the Worker's login may do that to the table at all. */
const open = async (table: string, command: string): Promise<boolean> => {
  const { rows } = await owner.query<{ open: boolean }>(
    `select has_table_privilege('weir_app', $1, $2) as open`,
    [`public.${table}`, command],
  )
  return rows[0]?.open === true
}

describe.each(roles)('a claim of the role %s', (role) => {
  const actor = actorWith(role)
  const has = (one: Permission): boolean => granted[role].some((some) => some === one)

  it.each(Object.entries(asks))('does to %s what the table of roles says', async (table, [reads, writes]) => {
    expect(await app.attempt(tenant, actor, `select 1 from ${table}`), 'select').toBe(has(reads) ? 1 : 0)
    const row = await owner.query<{ row: unknown }>(
      `select to_jsonb(t) as row from ${table} t where tenant_id = $1`,
      [tenant],
    )
    const insert = `insert into ${table} overriding system value select * from jsonb_populate_record(null::${table}, $1)`
    if (await open(table, 'insert')) {
      expect(await app.attempt(tenant, actor, insert, [JSON.stringify(row.rows[0]?.row)]), 'insert').toBe(
        has(writes) ? '23505' : '42501',
      )
    }
    const both = has(reads) && has(writes) ? 1 : 0
    if (await open(table, 'update'))
      expect(await app.attempt(tenant, actor, `update ${table} set tenant_id = tenant_id`), 'update').toBe(
        both,
      )
    if (await open(table, 'delete')) {
      const deleted = await app.attempt(tenant, actor, `delete from ${table}`)
      // What others refer to is not deleted, but it is reached.
      expect(both === 1 ? [1, '23503'] : [0], 'delete').toContain(deleted)
    }
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
