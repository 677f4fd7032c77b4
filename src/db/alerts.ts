import { sql } from 'drizzle-orm'
import type { AlertId, Id, PipelineId, RunId, TenantId } from '#src/domain/id.ts'
import type { AlertKind, AlertState } from '#src/domain/alert.ts'
import { notFound } from '#src/domain/problem.ts'
import type { QuotaName } from '#src/domain/quota.ts'
import type { Database, TenantDb } from './database.ts'

export type Alert = {
  id: AlertId
  kind: AlertKind
  /** Of an escalation: the first, second or third. Of a quota: the share that is used, in %. */
  level: number
  /** None where it is about the whole tenant. */
  pipelineId: PipelineId | null
  pipelineName: string | null
  quota: QuotaName | null
  runId: RunId | null
  scheduleId: Id<'schedule'> | null
  dueAt: Date | null
  state: AlertState
  detail: Record<string, unknown>
  at: Date
  resolvedAt: Date | null
  resolvedBy: string | null
}

export type AlertFilter = {
  state?: AlertState | undefined
  kind?: AlertKind | undefined
  pipelineId?: PipelineId | undefined
  runId?: RunId | undefined
}

const columns = sql`
  select a.id, a.kind, a.level, a.pipeline_id as "pipelineId", p.name as "pipelineName", a.quota, a.run_id as "runId",
    a.schedule_id as "scheduleId", a.due_at as "dueAt", a.state, a.detail, a.at, a.resolved_at as "resolvedAt",
    a.resolved_by as "resolvedBy"
  from alerts a
  left join pipelines p on p.tenant_id = a.tenant_id and p.id = a.pipeline_id`

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listAlerts(
  db: TenantDb,
  { state, kind, pipelineId, runId }: AlertFilter,
  before: AlertId | undefined,
  limit: number,
): Promise<Alert[]> {
  const wanted = [
    sql`a.tenant_id = ${db.tenantId}`,
    ...(state ? [sql`a.state = ${state}`] : []),
    ...(kind ? [sql`a.kind = ${kind}`] : []),
    ...(pipelineId ? [sql`a.pipeline_id = ${pipelineId}`] : []),
    ...(runId ? [sql`a.run_id = ${runId}`] : []),
    ...(before ? [sql`a.id < ${before}`] : []),
  ]
  const [found] = await db.run(
    db.sql.execute(
      sql`${columns} where ${sql.join(wanted, sql` and `)} order by a.id desc limit ${limit + 1}`,
    ),
  )
  return found.rows.map(alertOf)
}

/** Resolves an open alert; one that is resolved already stays as it is. */
export async function resolveAlert(db: TenantDb, id: AlertId, by: string): Promise<Alert> {
  const [, found] = await db.run(
    db.sql.execute(sql`
      update alerts set state = 'resolved', resolved_at = now(), resolved_by = ${by}
      where tenant_id = ${db.tenantId} and id = ${id} and state = 'open'`),
    db.sql.execute(sql`${columns} where a.tenant_id = ${db.tenantId} and a.id = ${id}`),
  )
  const [row] = found.rows
  if (!row) throw notFound('alert')
  return alertOf(row)
}

type Times = 'at' | 'dueAt' | 'resolvedAt'
type Row = Omit<Alert, Times> & { at: string; dueAt: string | null; resolvedAt: string | null }

function alertOf(row: Record<string, unknown>): Alert {
  const { at, dueAt, resolvedAt, ...alert } = row as Row
  return {
    ...alert,
    at: new Date(at),
    dueAt: dueAt === null ? null : new Date(dueAt),
    resolvedAt: resolvedAt === null ? null : new Date(resolvedAt),
  }
}

/** How long a run of the tenant may take at most, and for how many days it is kept; null is for ever. */
export type RunLimits = { maxRunMs?: number | null | undefined; retentionDays?: number | null | undefined }

export async function limitRuns(db: TenantDb, { maxRunMs, retentionDays }: RunLimits): Promise<void> {
  const changes = [
    ...(maxRunMs === undefined ? [] : [sql`max_run_ms = ${maxRunMs}::bigint`]),
    ...(retentionDays === undefined ? [] : [sql`retention_days = ${retentionDays}::integer`]),
  ]
  if (changes.length === 0) return
  await db.run(
    db.sql.execute(sql`update tenants set ${sql.join(changes, sql`, `)} where tenant_id = ${db.tenantId}`),
  )
}

/** Notes what has become late, of every tenant; see app.look_for_lateness. */
export async function lookForLateness(database: Database, limit: number, graceMs: number): Promise<void> {
  await database.open(
    database.sql.execute(
      sql`select app.look_for_lateness(${limit}, ${graceMs}::double precision * interval '1 ms')`,
    ),
  )
}

/** Whose turn it is to have old runs forgotten; see app.next_to_forget. */
export async function nextToForget(database: Database, limit: number): Promise<TenantId[]> {
  const [result] = await database.open(
    database.sql.execute(sql`select app.next_to_forget(${limit}) as "tenantId"`),
  )
  return result.rows.map((row) => row['tenantId'] as TenantId)
}

/** Forgets a tenant's oldest runs, in one transaction; see app.forget_runs. */
export async function forgetRuns(database: Database, tenantId: TenantId, limit: number): Promise<number> {
  const [result] = await database.open(
    database.sql.execute(sql`select app.forget_runs(${tenantId}, ${limit}) as gone`),
  )
  return Number(result.rows[0]?.['gone'] ?? 0)
}
