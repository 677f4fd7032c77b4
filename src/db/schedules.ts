import { sql } from 'drizzle-orm'
import type { Id, PipelineId, RunId, TenantId } from '#src/domain/id.ts'
import type { Database, TenantDb } from './database.ts'
import type { Wake } from './runs.ts'

export type DueSchedule = {
  tenantId: TenantId
  id: Id<'schedule'>
  pipelineId: PipelineId
  cron: string
  timezone: string
  /** As the database wrote it: the value that the firing must still find. */
  dueAt: string
}

export async function dueSchedules(database: Database, limit: number): Promise<DueSchedule[]> {
  const [result] = await database.open(
    database.sql.execute(
      sql`select tenant_id, id, pipeline_id, cron, timezone, next_fire_at::text from app.due_schedules(${limit})`,
    ),
  )
  return result.rows.map((row) => ({
    tenantId: row['tenant_id'] as TenantId,
    id: row['id'] as Id<'schedule'>,
    pipelineId: row['pipeline_id'] as PipelineId,
    cron: row['cron'] as string,
    timezone: row['timezone'] as string,
    dueAt: row['next_fire_at'] as string,
  }))
}

/** Moves the schedule on and starts its run with its parameters' defaults, in one transaction; undefined when another tick was first. */
export async function fireSchedule(
  db: TenantDb,
  schedule: DueSchedule,
  next: Date,
  runId: RunId,
): Promise<Wake | undefined> {
  const fired = await db.call<{ outboxId: number } | null>(
    sql`app.fire_schedule(${schedule.id}, ${schedule.dueAt}::timestamptz, ${next.toISOString()}::timestamptz, ${runId})`,
  )
  return fired ? { id: fired.outboxId, runId } : undefined
}
