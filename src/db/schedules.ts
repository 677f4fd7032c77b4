import { sql, type SQL } from 'drizzle-orm'
import type { CalendarDays } from '#src/domain/calendar.ts'
import type { Id, PipelineId, PipelineVersionId, TenantId } from '#src/domain/id.ts'
import type { JobPayload } from '#src/domain/job.ts'
import type { CatchUp, Overlap } from '#src/domain/schedule.ts'
import type { Database, TenantDb } from './database.ts'
import type { Wake } from './run-moves.ts'
import { statement } from './statement.ts'

type Timing = {
  cron: string
  timezone: string
  calendar: string | null
  catchUp: CatchUp
  overlap: Overlap
  jitterMs: number
  parameters: Record<string, unknown>
  nextFireAt: Date | null
}

/** A schedule as saving a version makes it; the key says which of the version before it is the same one. */
export type NewSchedule = Timing & { id: Id<'schedule'>; key: string; delayMs: number }

/** Stores the schedules of a version where it was stored; those that were there keep the time that they are due. */
export const saveSchedules = (
  db: TenantDb,
  pipelineId: PipelineId,
  versionId: PipelineVersionId,
  schedules: readonly NewSchedule[],
): SQL => sql`
  insert into schedules (tenant_id, id, pipeline_id, key, cron, timezone, calendar, catch_up, overlap, jitter_ms,
    parameters, version, next_fire_at, delay_ms)
  select v.tenant_id, s.id, v.pipeline_id, s.key, s.cron, s.timezone, s.calendar, s."catchUp", s.overlap, s."jitterMs",
    s.parameters, v.version, s."nextFireAt", s."delayMs"
  from pipeline_versions v
  cross join jsonb_to_recordset(${JSON.stringify(schedules)}::jsonb)
    as s(id text, key text, cron text, timezone text, calendar text, "catchUp" text, overlap text, "jitterMs" integer,
      parameters jsonb, "nextFireAt" timestamptz, "delayMs" integer)
  where v.tenant_id = ${db.tenantId} and v.id = ${versionId} and v.pipeline_id = ${pipelineId}
  on conflict (tenant_id, pipeline_id, key) do update
  set catch_up = excluded.catch_up, overlap = excluded.overlap, jitter_ms = excluded.jitter_ms,
    parameters = excluded.parameters, version = excluded.version,
    next_fire_at = coalesce(schedules.next_fire_at, excluded.next_fire_at)`

/** Removes the schedules or triggers that the version has no longer, where it was stored. */
export const dropSchedules = (
  db: TenantDb,
  table: 'schedules' | 'triggers',
  pipelineId: PipelineId,
  versionId: PipelineVersionId,
  keys: readonly string[],
): SQL => sql`
  delete from ${sql.identifier(table)} t using pipeline_versions v
  where t.tenant_id = ${db.tenantId} and t.pipeline_id = ${pipelineId}
    and v.tenant_id = t.tenant_id and v.id = ${versionId} and v.pipeline_id = t.pipeline_id
    and t.key not in (select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`

export type DueSchedule = {
  tenantId: TenantId
  id: Id<'schedule'>
  cron: string
  timezone: string
  days: CalendarDays | undefined
  catchUp: CatchUp
  jitterMs: number
  /** As the database wrote it: the value that the firing must still find. */
  due: string
  firesAt: Date
}

/** A schedule as people look at it; without `nextFireAt` it never fires again. */
export type Schedule = Timing & {
  id: Id<'schedule'>
  pipelineId: PipelineId
  pipelineName: string
  /** Of its pipeline: while it is, nothing fires. */
  isPaused: boolean
}

/** By id; one more than `limit` says that there are further ones. */
export async function listSchedules(
  db: TenantDb,
  { pipelineId = null, after = null }: { pipelineId?: PipelineId | null; after?: string | null },
  limit: number,
): Promise<Schedule[]> {
  const [found] = await db.statements([
    statement(sql`
      select s.id, s.pipeline_id as "pipelineId", p.name as "pipelineName", s.cron, s.timezone, s.calendar,
        s.catch_up as "catchUp", s.overlap, s.jitter_ms as "jitterMs", s.parameters, s.next_fire_at as "nextFireAt",
        p.paused_at is not null as "isPaused"
      from schedules s
      join pipelines p on p.tenant_id = s.tenant_id and p.id = s.pipeline_id and p.deleted_at is null
      where s.tenant_id = ${db.tenantId} and (${pipelineId}::text is null or s.pipeline_id = ${pipelineId})
        and (${after}::text is null or s.id > ${after})
      order by s.id limit ${limit + 1}`),
  ])
  type Row = Omit<Schedule, 'nextFireAt'> & { nextFireAt: string | null }
  return ((found?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    nextFireAt: row.nextFireAt === null ? null : new Date(row.nextFireAt),
  }))
}

/** Schedules of every tenant that fire within `aheadMs`, each given out once; see app.due_schedules. */
export async function dueSchedules(
  database: Database,
  aheadMs: number,
  limit: number,
): Promise<DueSchedule[]> {
  const [result] = await database.open(
    database.sql.execute(sql`
      select tenant_id, id, cron, timezone, case when has_calendar then coalesce(days, '{"weekdays": [], "include": [], "exclude": []}') end as days,
        catch_up, jitter_ms, next_fire_at::text as due, fires_at::text as fires_at
      from app.due_schedules(${aheadMs}::bigint * interval '1 ms', ${limit}) order by next_fire_at`),
  )
  return result.rows.map((row) => ({
    tenantId: row['tenant_id'] as TenantId,
    id: row['id'] as Id<'schedule'>,
    cron: row['cron'] as string,
    timezone: row['timezone'] as string,
    days: (row['days'] as CalendarDays | null) ?? undefined,
    catchUp: row['catch_up'] as CatchUp,
    jitterMs: row['jitter_ms'] as number,
    due: row['due'] as string,
    firesAt: new Date(row['fires_at'] as string),
  }))
}

/** Fires schedules whose time still is the one that is due, each in the same transaction as its runs; see app.fire_schedules. */
export const fireSchedules = (
  db: TenantDb,
  fires: JobPayload<'fire'>['fires'],
): Promise<{ fired: number; skipped: number; refused: number; wakes: Wake[] }> =>
  db.call(sql`app.fire_schedules(${JSON.stringify(fires)}::jsonb)`)
