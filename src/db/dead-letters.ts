import { and, desc, eq, gte, lt, sql } from 'drizzle-orm'
import { newId, type DeadLetterId, type PipelineId, type RunId } from '#src/domain/id.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import { notFound } from '#src/domain/problem.ts'
import type { Rerun, RerunOptions, RerunRefusal } from './control.ts'
import type { TenantDb } from './database.ts'
import { deadLetters, pipelines, pipelineVersions, runEvents, runs, steps } from './schema.ts'

export type DeadLetter = typeof deadLetters.$inferSelect & { pipelineName: string }

export type DeadLetterFilter = {
  pipelineId?: PipelineId | undefined
  code?: string | undefined
  /** Buried at this time or later. */
  since?: Date | undefined
}

const selectLetters = (db: TenantDb) =>
  db.sql
    .select({ letter: deadLetters, pipelineName: pipelines.name })
    .from(deadLetters)
    .innerJoin(
      pipelines,
      and(eq(pipelines.tenantId, deadLetters.tenantId), eq(pipelines.id, deadLetters.pipelineId)),
    )

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listDeadLetters(
  db: TenantDb,
  filter: DeadLetterFilter & { state?: DeadLetter['state'] | undefined; before?: DeadLetterId | undefined },
  limit: number,
): Promise<DeadLetter[]> {
  const { pipelineId, code, since, state, before } = filter
  const [rows] = await db.run(
    selectLetters(db)
      .where(
        and(
          eq(deadLetters.tenantId, db.tenantId),
          pipelineId ? eq(deadLetters.pipelineId, pipelineId) : undefined,
          code ? eq(deadLetters.code, code) : undefined,
          since ? gte(deadLetters.createdAt, since) : undefined,
          state ? eq(deadLetters.state, state) : undefined,
          before ? lt(deadLetters.id, before) : undefined,
        ),
      )
      .orderBy(desc(deadLetters.id))
      .limit(limit + 1),
  )
  return rows.map(({ letter, pipelineName }) => ({ ...letter, pipelineName }))
}

export type FailedItem = {
  mapIndex: number
  attempt: number
  error: { code: string; message: string } | null
}
export type LetterEvent = {
  seq: number
  at: Date
  type: string
  mapIndex: number | null
  actor: string
  data: Record<string, unknown> | null
}

const most = { items: 20, events: 100 }

/** With the last events of its step, and the items of its map that failed. */
export async function getDeadLetter(
  db: TenantDb,
  id: DeadLetterId,
): Promise<DeadLetter & { events: LetterEvent[]; items: FailedItem[]; definition: Definition }> {
  const one = and(eq(deadLetters.tenantId, db.tenantId), eq(deadLetters.id, id))
  const [[found], events, items, [version]] = await db.run(
    selectLetters(db).where(one),
    db.sql
      .select({
        seq: runEvents.seq,
        at: runEvents.at,
        type: runEvents.type,
        mapIndex: runEvents.mapIndex,
        actor: runEvents.actor,
        data: runEvents.data,
      })
      .from(runEvents)
      .innerJoin(deadLetters, and(one, eq(deadLetters.runId, runEvents.runId)))
      .where(and(eq(runEvents.tenantId, db.tenantId), eq(runEvents.stepKey, deadLetters.stepKey)))
      .orderBy(desc(runEvents.seq))
      .limit(most.events),
    db.sql
      .select({ mapIndex: steps.mapIndex, attempt: steps.attempt, error: steps.error })
      .from(steps)
      .innerJoin(deadLetters, and(one, eq(deadLetters.runId, steps.runId)))
      .where(
        and(
          eq(steps.tenantId, db.tenantId),
          eq(steps.key, deadLetters.stepKey),
          sql`${steps.mapIndex} > 0`,
          eq(steps.state, 'failed'),
        ),
      )
      .orderBy(steps.mapIndex)
      .limit(most.items),
    db.sql
      .select({ definition: pipelineVersions.definition })
      .from(deadLetters)
      .innerJoin(runs, and(eq(runs.tenantId, deadLetters.tenantId), eq(runs.id, deadLetters.runId)))
      .innerJoin(
        pipelineVersions,
        and(eq(pipelineVersions.tenantId, runs.tenantId), eq(pipelineVersions.id, runs.versionId)),
      )
      .where(one),
  )
  if (!found || !version) throw notFound('dead letter')
  const { letter, pipelineName } = found
  return { ...letter, pipelineName, events: events.reverse(), items, definition: version.definition }
}

type Resolved = { refused: 'resolved'; state: 'replayed' | 'dismissed'; runId: RunId | null }

export async function replayDeadLetter(
  db: TenantDb,
  id: DeadLetterId,
  newRun: RunId,
  options: RerunOptions,
): Promise<Rerun | RerunRefusal | Resolved> {
  const made = await db.call<Rerun | RerunRefusal | Resolved | null>(
    sql`app.replay_letter(${id}, ${newRun}, ${JSON.stringify(options)}::jsonb)`,
  )
  if (!made) throw notFound('dead letter')
  return made
}

export type Replays = {
  replayed: (Rerun & { of: RunId })[]
  refused: { runId: RunId; refused: RerunRefusal['refused'] }[]
}

/** Replays what is open and fits, each run once, the oldest `limit` of them. */
export const replayDeadLetters = (
  db: TenantDb,
  { pipelineId, code, since }: DeadLetterFilter,
  limit: number,
  now: Date,
  options: RerunOptions,
): Promise<Replays> => {
  const filter = JSON.stringify({ pipelineId, code, since: since?.toISOString() })
  const ids = sql.param(Array.from({ length: limit }, () => newId('run', now)))
  return db.call(sql`app.replay_letters(${filter}::jsonb, ${ids}::text[], ${JSON.stringify(options)}::jsonb)`)
}

export async function dismissDeadLetter(
  db: TenantDb,
  id: DeadLetterId,
  reason: string | undefined,
): Promise<{ refused?: 'resolved'; state?: 'replayed' | 'dismissed' }> {
  const done = await db.call<{ refused?: 'resolved'; state?: 'replayed' | 'dismissed' } | null>(
    sql`app.dismiss_letter(${id}, ${reason ?? null})`,
  )
  if (!done) throw notFound('dead letter')
  return done
}
