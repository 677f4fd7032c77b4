import { and, eq, gt } from 'drizzle-orm'
import type { RunId } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { linesAfter, linesOf, noteOfLines, type LogLine } from './logs.ts'
import type { Step } from './runs.ts'
import { runEvents, runs, steps } from './schema.ts'

export type RunEvent = {
  seq: number
  at: Date
  type: string
  stepKey: string | null
  mapIndex: number | null
  actor: string
  data: Record<string, unknown> | null
}

/** How much of a run has been seen: the numbers of the last event and of the last line of its log. */
export type Place = { event: number; line: number }

export type RunRecord = {
  events: RunEvent[]
  lines: LogLine[]
  /** Nothing will follow after these. */
  finished: boolean
  steps: Pick<Step, 'key' | 'state' | 'rowsIn' | 'rowsOut' | 'rowsRejected'>[]
}

/**
 * What a run has said since then, each in its order, and how it stands; the run's absence is a 404.
 * @param isNoted whether the log's being read is noted: of somebody who watches once
 */
export async function recordOf(
  db: TenantDb,
  runId: RunId,
  after: Place,
  most: { events: number; lines: number },
  isNoted = false,
): Promise<RunRecord> {
  const listing = linesAfter(db, runId, after.line, most.lines)
  // The run first: where it is over, whatever is read afterwards is all there is.
  const [[run], events, lines, progress] = await db.run(
    db.sql
      .select({ finishedAt: runs.finishedAt })
      .from(runs)
      .where(and(eq(runs.tenantId, db.tenantId), eq(runs.id, runId))),
    db.sql
      .select({
        seq: runEvents.seq,
        at: runEvents.at,
        type: runEvents.type,
        stepKey: runEvents.stepKey,
        mapIndex: runEvents.mapIndex,
        actor: runEvents.actor,
        data: runEvents.data,
      })
      .from(runEvents)
      .where(
        and(eq(runEvents.tenantId, db.tenantId), eq(runEvents.runId, runId), gt(runEvents.seq, after.event)),
      )
      .orderBy(runEvents.seq)
      .limit(most.events),
    db.sql.execute(listing),
    db.sql
      .select({
        key: steps.key,
        state: steps.state,
        rowsIn: steps.rowsIn,
        rowsOut: steps.rowsOut,
        rowsRejected: steps.rowsRejected,
      })
      .from(steps)
      .where(
        and(
          eq(steps.tenantId, db.tenantId),
          eq(steps.runId, runId),
          eq(steps.state, 'running'),
          eq(steps.mapIndex, 0),
        ),
      ),
    ...(isNoted ? [db.sql.execute(noteOfLines(db, runId, listing))] : []),
  )
  if (!run) throw notFound('run')
  const isAll = events.length < most.events && lines.rows.length < most.lines
  return { events, lines: linesOf(lines.rows), finished: run.finishedAt !== null && isAll, steps: progress }
}
