import type pg from 'pg'
import { newId, type Id, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import type { JobPayload } from '#src/domain/job.ts'
import { planFire, type CatchUp, type Overlap } from '#src/domain/schedule.ts'
import type { EngineCalls } from './engine-calls.ts'

export type Fire = JobPayload<'fire'>['fires'][number]
export type Fired = { fired: number; skipped: number; wakes: { id: number; runId: RunId }[] }

export type ScheduleOptions = {
  cron?: string
  catchUp?: CatchUp
  overlap?: Overlap
  next: Date
}

/** A schedule of a pipeline that only the engine's functions see. */
export async function plannedSchedule(
  owner: pg.Client,
  tenantId: TenantId,
  pipelineId: PipelineId,
  { cron = '* * * * *', catchUp = 'last', overlap = 'allow', next }: ScheduleOptions,
): Promise<Id<'schedule'>> {
  const id = newId('schedule')
  await owner.query(
    `insert into schedules (tenant_id, id, pipeline_id, key, cron, timezone, catch_up, overlap, version, next_fire_at)
     values ($1, $2, $3, $2, $4, 'UTC', $5, $6, 1, $7)`,
    [tenantId, id, pipelineId, cron, catchUp, overlap, next],
  )
  return id
}

/** What the message of a tick at `now` would say, as the schedule stands; undefined when it is not due within a minute. */
export async function planned(
  owner: pg.Client,
  id: Id<'schedule'>,
  now: Date,
  aheadMs = 60_000,
): Promise<Fire | undefined> {
  const { rows } = await owner.query<{ cron: string; catch_up: CatchUp; due: string }>(
    'select cron, catch_up, next_fire_at::text as due from schedules where id = $1',
    [id],
  )
  const [row] = rows
  if (!row || new Date(row.due).getTime() > now.getTime() + aheadMs) return undefined
  const schedule = { cron: row.cron, timezone: 'UTC', catchUp: row.catch_up, jitterMs: 0 }
  const { times, next } = planFire(schedule, new Date(row.due), now)
  return {
    id,
    due: row.due,
    times: times.map((at) => at.toISOString()),
    next: next?.toISOString() ?? null,
    delayMs: 0,
  }
}

export async function fire(calls: EngineCalls, fires: readonly Fire[]): Promise<Fired> {
  const { rows } = await calls.client.query<{ value: Fired }>('select app.fire_schedules($1) as value', [
    JSON.stringify(fires),
  ])
  return (rows[0] as { value: Fired }).value
}

export type RunRow = { id: RunId; state: string; trigger: string; at: string | null; depth: number }

/** The runs of a pipeline, those that stand for an earlier time first. */
export async function runsOf(owner: pg.Client, pipelineId: PipelineId): Promise<RunRow[]> {
  const { rows } = await owner.query<Omit<RunRow, 'at'> & { at: Date | null }>(
    'select id, state, trigger, scheduled_for as at, depth from runs where pipeline_id = $1 order by scheduled_for, id',
    [pipelineId],
  )
  return rows.map(({ at, ...row }) => ({ ...row, at: at?.toISOString() ?? null }))
}

/** Ends a run by its one step. */
export async function endRun(
  calls: EngineCalls,
  runId: RunId,
  state: 'succeeded' | 'failed' = 'succeeded',
): Promise<{ id: number; runId: RunId }[]> {
  const claim = await calls.claim(runId, null, `d-${runId}`)
  if (claim.outcome !== 'claimed') throw new Error(`claim: ${claim.outcome}`)
  const { wakes } = await calls.complete(runId, claim.step, { state }, `d-${runId}`)
  return wakes as { id: number; runId: RunId }[]
}
