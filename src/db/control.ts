import { sql, type SQL } from 'drizzle-orm'
import type { ConnectionId, PipelineId, RunId } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { RunState, StepState } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'
import type { Wake } from './run-moves.ts'

/** How somebody says that a run or a step has ended. */
export type Mark = 'succeeded' | 'failed'

async function move<R>(db: TenantDb, what: string, call: SQL): Promise<R> {
  const moved = await db.call<R | null>(call)
  if (moved === null) throw notFound(what)
  return moved
}

export type Pause = { pausedAt: string; pausedBy: string; reason: string | null }

export const pausePipeline = (db: TenantDb, id: PipelineId, reason: string | undefined): Promise<Pause> =>
  move(db, 'pipeline', sql`app.pause_pipeline(${id}, ${reason ?? null})`)

export const resumePipeline = (db: TenantDb, id: PipelineId): Promise<{ wakes: Wake[] }> =>
  move(db, 'pipeline', sql`app.resume_pipeline(${id})`)

export const limitTenant = (db: TenantDb, concurrency: number | null): Promise<{ wakes: Wake[] }> =>
  db.call(sql`app.limit_tenant(${concurrency}::integer)`)

/** Lets what waits for the connection go on; `reset` also ends its rest. */
export const openConnectionAgain = (
  db: TenantDb,
  id: ConnectionId,
  reset: boolean,
): Promise<{ wakes: Wake[] }> => move(db, 'connection', sql`app.open_connection(${id}, ${reset})`)

export const setPriority = (
  db: TenantDb,
  id: RunId,
  priority: number,
  reason: string | undefined,
): Promise<{ runState: RunState; refused?: 'begun' }> =>
  move(db, 'run', sql`app.set_priority(${id}, ${priority}, ${reason ?? null})`)

export type RerunOptions = {
  /** The current version, and the parameters that were checked for it; without it the version that the run had. */
  checkedFor?: number
  parameters?: Record<string, unknown>
  traceparent?: string
  reason?: string | undefined
}
export type RerunRefusal =
  | { refused: 'open' | 'deleted' | 'version' | 'step' | 'nothing' | 'skipped' }
  | { refused: 'dropped'; step: string }
  | { refused: 'quota'; quota: QuotaStanding }
export type Rerun = { runId: RunId; outboxId: number }

/** See app.rerun_run. */
export const rerunRun = (
  db: TenantDb,
  id: RunId,
  of: RunId,
  from: string,
  options: RerunOptions,
): Promise<Rerun | RerunRefusal> =>
  move(db, 'run', sql`app.rerun_run(${id}, ${of}, ${from}, ${JSON.stringify(options)}::jsonb)`)

export type Marked =
  | { runState: RunState; wakes: Wake[] }
  | { refused: 'over' | 'cancelling'; runState: RunState }
  | { refused: 'pending' | 'ended'; stepState: StepState }

export const markStep = (db: TenantDb, id: RunId, step: string, as: Mark, reason: string): Promise<Marked> =>
  move(db, 'step', sql`app.mark_step(${id}, ${step}, ${as}, ${reason})`)

export const markRun = (db: TenantDb, id: RunId, as: Mark, reason: string): Promise<Marked> =>
  move(db, 'run', sql`app.mark_run(${id}, ${as}, ${reason})`)
