import type pg from 'pg'
import { newId, type TenantId } from '#src/domain/id.ts'

const query = `
  select c.oid::regclass::text as name
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
  where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
  order by 1`

/** Every table that holds a tenant's rows, from the catalogue: a new one is covered the day it is made. */
export const tenantTables = async (owner: pg.Client): Promise<string[]> =>
  (await owner.query<{ name: string }>(query)).rows.map((row) => row.name)

/** One row in every tenant table, so that reaching it would show. */
export async function fillEveryTable(owner: pg.Client, tenant: TenantId): Promise<void> {
  const run = newId('run')
  const pipeline = newId('pipeline')
  const version = newId('pipelineVersion')
  const dataset = newId('dataset')
  const insert = (text: string, values: unknown[]) => owner.query(text, values)
  await insert(`insert into data_keys (tenant_id, sealed) values ($1, 'x') on conflict do nothing`, [tenant])
  await insert(
    `insert into connections (tenant_id, id, name, kind, config) values ($1, $2, 'c', 'files', '{}')`,
    [tenant, newId('connection')],
  )
  await insert(`insert into pipelines (tenant_id, id, name, current_version) values ($1, $2, 'p', 1)`, [
    tenant,
    pipeline,
  ])
  await insert(
    `insert into pipeline_versions (tenant_id, id, pipeline_id, version, definition, plan, source, format, created_by) values ($1, $2, $3, 1, '{}', '[]', '', 'yaml', 'x')`,
    [tenant, version, pipeline],
  )
  await insert(
    `insert into calendars (tenant_id, id, name, days) values ($1, $2, 'c', '{"weekdays": [], "include": [], "exclude": []}')`,
    [tenant, newId('calendar')],
  )
  await insert(
    `insert into channels (tenant_id, id, name, kind, config) values ($1, $2, 'c', 'webhook', '{}')`,
    [tenant, newId('channel')],
  )
  await insert(
    `insert into invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at) values ($1, $2, 'i@example.com', 'viewer', $2, 'x', now())`,
    [tenant, newId('invitation')],
  )
  await insert(
    `insert into integrations (tenant_id, kind, address) values ($1, 'vault', 'https://v.example')`,
    [tenant],
  )
  await insert(
    `insert into former_members (tenant_id, user_id, role, joined_at) values ($1, 'usr_x', 'viewer', now())`,
    [tenant],
  )
  await insert(
    `insert into service_accounts (tenant_id, id, name, role, created_by) values ($1, $2, 'a', 'viewer', 'x')`,
    [tenant, newId('serviceAccount')],
  )
  for (const one of [
    `meterings (tenant_id, pipeline_id, version_id, runs) values ($1, 'p', 'v', 1)`,
    `usage (tenant_id, day, meter, amount) values ($1, current_date, 'runs', 1)`,
    `usage_totals (tenant_id, month, meter, amount) values ($1, '2020-01-01', 'runs', 1)`,
    `request_counts (tenant_id, day, epoch, amount) values ($1, current_date, 'e', 1)`,
    `stored_files (tenant_id, connection_id, name, bytes) select tenant_id, id, 'f', 1 from connections where tenant_id = $1`,
  ])
    await insert(`insert into ${one}`, [tenant])
  const trigger = newId('trigger')
  await insert(
    `insert into triggers (tenant_id, id, pipeline_id, key, kind, definition) values ($1, $2, $3, 'd', 'dataset', '{}')`,
    [tenant, trigger, pipeline],
  )
  await insert(
    `insert into trigger_sources (tenant_id, kind, name, trigger_id) values ($1, 'dataset', 'd', $2)`,
    [tenant, trigger],
  )
  await insert(
    `insert into webhook_receipts (tenant_id, trigger_id, webhook_id, body_hash, run_id) values ($1, $2, 'e', 'h', 'r')`,
    [tenant, trigger],
  )
  await insert(
    `insert into waiting_fires (tenant_id, pipeline_id, due, schedule_id, parameters) values ($1, $2, now(), 's', '{}')`,
    [tenant, pipeline],
  )
  await insert(
    `insert into backfills (tenant_id, id, pipeline_id, version, asked, parameters, times, concurrency, skip_succeeded, created_by) values ($1, $2, $3, 1, '{}', '{}', array[now()], 1, false, 'x')`,
    [tenant, newId('backfill'), pipeline],
  )
  await insert(
    `insert into schedules (tenant_id, id, pipeline_id, cron, timezone, next_fire_at) values ($1, $2, $3, '0 0 1 1 *', 'UTC', '2999-01-01')`,
    [tenant, newId('schedule'), pipeline],
  )
  await insert(
    `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished) values ($1, $2, $3, $4, 'queued', 'manual', '{}', 'x', 1)`,
    [tenant, run, pipeline, version],
  )
  await insert(
    `insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state) values ($1, $2, 's', 'wait', 0, '{}', 'all_success', 'ready')`,
    [tenant, run],
  )
  await insert(
    `insert into run_events (tenant_id, run_id, seq, type, actor) values ($1, $2, 1, 'run.queued', 'x')`,
    [tenant, run],
  )
  await insert(
    `insert into run_logs (tenant_id, run_id, seq, at, step_key, level, message) values ($1, $2, 1, now(), 's', 'info', 'x')`,
    [tenant, run],
  )
  await insert(
    `insert into alerts (tenant_id, id, kind, pipeline_id, run_id) values ($1, $2, 'failed', $3, $4)`,
    [tenant, newId('alert'), pipeline, run],
  )
  await insert(
    `insert into dead_letters (tenant_id, id, run_id, pipeline_id, step_key, code, message, attempts) values ($1, $2, $3, $4, 's', 'x', 'x', 1)`,
    [tenant, newId('deadLetter'), run, pipeline],
  )
  await insert(`insert into datasets (tenant_id, id, name) values ($1, $2, 'd')`, [tenant, dataset])
  await insert(
    `insert into dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key) values ($1, $2, $3, 'dropped', '[]', $4, 's')`,
    [tenant, newId('datasetVersion'), dataset, run],
  )
  await insert(
    `insert into quality_results (tenant_id, run_id, step_key, position, rule, on_fail, checked, failed, passed) values ($1, $2, 's', 0, 'not_null', 'warn', 1, 0, true)`,
    [tenant, run],
  )
  await insert(
    `insert into outbox (tenant_id, kind, payload, send_after) values ($1, 'run', '{}', '2999-01-01')`,
    [tenant],
  )
  await insert(
    `insert into idempotency_keys (tenant_id, actor, key, fingerprint, state, locked_until) values ($1, 'x', 'k', 'f', 'running', now())`,
    [tenant],
  )
  const [project, team] = [newId('project'), newId('team')]
  await insert(`insert into projects (tenant_id, id, name, created_by) values ($1, $2, 'p', 'x')`, [
    tenant,
    project,
  ])
  await insert(`insert into teams (tenant_id, id, name, created_by) values ($1, $2, 't', 'x')`, [
    tenant,
    team,
  ])
  await insert(
    `insert into team_members (tenant_id, team_id, user_id) select tenant_id, $2, user_id from memberships where tenant_id = $1`,
    [tenant, team],
  )
  await insert(
    `insert into roles (tenant_id, id, name, permissions, created_by) values ($1, $2, 'r', '{runs:read}', 'x')`,
    [tenant, newId('role')],
  )
  await insert(
    `insert into grants (tenant_id, id, team_id, project_id, level, created_by) values ($1, $2, $3, $4, 'read', 'x')`,
    [tenant, newId('grant'), team, project],
  )
  const provider = newId('ssoProvider')
  await insert(
    `insert into sso_providers (tenant_id, id, name, issuer, client_id, client_auth, scopes, role_map, jit) values ($1, $2, 's', 'https://idp.example', 'c', 'none', '{}', '[]', true)`,
    [tenant, provider],
  )
  await insert(`insert into sso_domains (tenant_id, domain, token) values ($1, 'd.example', 't')`, [tenant])
  await insert(
    `insert into sso_identities (tenant_id, issuer, subject, user_id, provider_id) select tenant_id, 'https://idp.example', 's', user_id, $2 from memberships where tenant_id = $1 limit 1`,
    [tenant, provider],
  )
  await insert(
    `insert into sso_attempts (tenant_id, state_hash, browser_hash, provider_id, sealed, expires_at) values ($1, $2, 'b', $2, 's', now() + interval '1 hour')`,
    [tenant, provider],
  )
  await insert(`insert into audit_heads (tenant_id, hash) values ($1, '') on conflict do nothing`, [tenant])
  await insert(
    `insert into audit_streams (tenant_id, id, name, url) values ($1, $2, 's', 'https://example.com')`,
    [tenant, newId('auditStream')],
  )
}
