import { sql } from 'drizzle-orm'
import type { Id, PipelineId } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import type { Wake } from './run-moves.ts'

export type BackfillId = Id<'backfill'>
export type BackfillState = 'running' | 'paused' | 'cancelled' | 'finished'

export type Backfill = {
  id: BackfillId
  pipelineId: PipelineId
  version: number
  state: BackfillState
  asked: { from: string; to: string; cron: string; timezone: string; order: 'oldest' | 'newest' }
  parameters: Record<string, unknown>
  concurrency: number
  skipSucceeded: boolean
  total: number
  taken: number
  skipped: number
  running: number
  succeeded: number
  failed: number
  cancelled: number
  createdBy: string
  createdAt: Date
  finishedAt: Date | null
}

const columns = sql`id, pipeline_id as "pipelineId", version, state, asked, parameters, concurrency,
  skip_succeeded as "skipSucceeded", cardinality(times) as total, taken, skipped, running, succeeded, failed, cancelled,
  created_by as "createdBy", created_at as "createdAt", finished_at as "finishedAt"`

type Row = Omit<Backfill, 'createdAt' | 'finishedAt'> & { createdAt: string; finishedAt: string | null }

const toBackfill = (row: Record<string, unknown>): Backfill => {
  const { createdAt, finishedAt, ...rest } = row as Row
  return { ...rest, createdAt: new Date(createdAt), finishedAt: finishedAt ? new Date(finishedAt) : null }
}

/** Makes a backfill and starts its first runs. */
export async function startBackfill(
  db: TenantDb,
  backfill: Pick<
    Backfill,
    'id' | 'pipelineId' | 'version' | 'asked' | 'parameters' | 'concurrency' | 'skipSucceeded'
  > & {
    times: readonly Date[]
  },
): Promise<Wake[]> {
  const { id, pipelineId, version, concurrency, skipSucceeded } = backfill
  const times = `{${backfill.times.map((time) => time.toISOString()).join(',')}}`
  const wakes = await db.call<Wake[] | null>(
    sql`app.start_backfill(${id}, ${pipelineId}, ${version}, ${JSON.stringify(backfill.asked)}::jsonb,
      ${JSON.stringify(backfill.parameters)}::jsonb, ${times}::timestamptz[], ${concurrency}, ${skipSucceeded})`,
  )
  if (!wakes) throw notFound('pipeline')
  return wakes
}

export async function getBackfill(db: TenantDb, id: BackfillId): Promise<Backfill> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`select ${columns} from backfills where tenant_id = ${db.tenantId} and id = ${id}`),
  )
  if (!rows[0]) throw notFound('backfill')
  return toBackfill(rows[0])
}

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listBackfills(
  db: TenantDb,
  pipelineId: PipelineId | undefined,
  before: BackfillId | undefined,
  limit: number,
): Promise<Backfill[]> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      select ${columns} from backfills
      where tenant_id = ${db.tenantId} and (${pipelineId ?? null}::text is null or pipeline_id = ${pipelineId ?? null})
        and (${before ?? null}::text is null or id < ${before ?? null})
      order by id desc limit ${limit + 1}`),
  )
  return rows.map(toBackfill)
}

/** Moves a backfill that is in one of these states; undefined when it is not. */
export async function moveBackfill(
  db: TenantDb,
  id: BackfillId,
  from: readonly BackfillState[],
  to: BackfillState,
): Promise<Wake[] | undefined> {
  const wakes = await db.call<Wake[] | null>(
    sql`app.move_backfill(${id}, ${`{${from.join(',')}}`}::text[], ${to})`,
  )
  return wakes ?? undefined
}

/** Asks the runs of a backfill that are under way to stop. */
export const stopBackfillRuns = (db: TenantDb, id: BackfillId): Promise<Wake[]> =>
  db.call(sql`app.stop_backfill_runs(${id})`)
