import { and, eq, gt, sql } from 'drizzle-orm'
import type { PipelineId, RunId } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import type { Parameters } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { Json } from '#src/domain/json.ts'
import type { RunState, RunTrigger, StepState } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'
import { statement, type Statement } from './statement.ts'
import { pipelines, pipelineVersions, qualityResults, runEvents, runs, steps } from './schema.ts'

/** A wake-up in the outbox that is to be published now; `notBefore` where it has to wait. */
export type Wake = { id: number; runId?: RunId; notBefore?: string | null }

export type ClaimedStep = {
  key: string
  mapIndex: number
  kind: string
  attempt: number
  fence: number
  cursor: Record<string, unknown> | null
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  /** When the attempt under way began. */
  attemptAt: string
  /** What came from outside while it waited. */
  answer?: Json | null
  /** What the steps that it names have given. */
  outputs?: Record<string, Json> | null
}

export type ClaimedRun = {
  id: RunId
  pipelineId: PipelineId
  definition: Definition
  parameters: Parameters
  traceparent: string | null
  deadlineAt: string | null
  scheduledFor: string | null
  trigger: RunTrigger
}

export type Claim =
  | { outcome: 'over' | 'queued'; wakes?: Wake[]; runState?: RunState }
  | { outcome: 'idle'; wakes: Wake[] }
  | { outcome: 'claimed'; run: ClaimedRun; step: ClaimedStep; wakes: Wake[] }

/** Who is asking: the message, and whether an earlier attempt to deliver it failed. */
export type Delivery = { id: string; retry: boolean }

export type StepResult = {
  state: 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'waiting' | 'ready'
  /** For waiting and ready: when to go on. */
  delayMs?: number
  /** A continuation of the same attempt in another delivery. */
  yielded?: true
  rowsIn?: number
  rowsOut?: number
  rowsRejected?: number
  warned?: boolean
  /** What is missing from rowsIn in the version that the step made is rejected. */
  rejects?: true
  error?: { code: string; message: string }
  cursor?: Record<string, unknown> | null
  /** What later steps may use of it, beside its rows. */
  output?: Record<string, Json>
  /** For waiting: what an answer has to name. */
  answerKey?: string
  /** For waiting: items to be worked on, so many at once. */
  map?: { total: number; atOnce: number }
}

export type Completion = { runState: RunState; step?: ClaimedStep | null; wakes: Wake[] }

export type NewRun = {
  id: RunId
  pipelineId: PipelineId
  /** Checked against version `checkedFor`; without it there are none, and a version that needs some is not started. */
  parameters: Record<string, unknown>
  checkedFor?: number | undefined
  trigger: RunTrigger
  traceparent?: string | undefined
}

/** Starts a run of the pipeline's current version, if its parameters are good for that one; see app.start_run. */
export async function startRun(
  db: TenantDb,
  run: NewRun,
): Promise<{ wake: Wake } | { refused: 'version' | 'parameters' }> {
  const { parameters, checkedFor, traceparent } = run
  const options = JSON.stringify({ parameters, checkedFor, traceparent })
  const started = await db.call<{ outboxId: number } | { refused: 'version' | 'parameters' } | null>(
    sql`app.start_run(${run.id}, ${run.pipelineId}, ${run.trigger}, ${options}::jsonb)`,
  )
  if (!started) throw notFound('pipeline')
  return 'refused' in started ? started : { wake: { id: started.outboxId, runId: run.id } }
}

export const claimStep = (
  db: TenantDb,
  runId: RunId,
  outboxId: number | undefined,
  delivery: Delivery,
  leaseMs: number,
): Promise<Claim> =>
  db.call(sql`app.claim_step(${runId}, ${outboxId ?? null}, ${delivery.id}, ${delivery.retry}, ${leaseMs})`)

/** The statement that completes a step, to stand last in the transaction that wrote what the step made. */
export const completion = (
  runId: RunId,
  step: ClaimedStep,
  result: StepResult,
  delivery: Delivery,
  leaseMs: number,
): Statement =>
  statement(
    sql`select app.complete_step(${runId}, ${step.key}, ${step.mapIndex}, ${step.fence}, ${JSON.stringify(result)}::jsonb, ${delivery.id}, ${leaseMs}) as value`,
  )

export const renewLease = (
  db: TenantDb,
  runId: RunId,
  step: ClaimedStep,
  leaseMs: number,
): Promise<'held' | 'cancelling' | 'lost'> =>
  db.call(sql`app.renew_lease(${runId}, ${step.key}, ${step.mapIndex}, ${step.fence}, ${leaseMs})`)

export async function cancelRun(
  db: TenantDb,
  runId: RunId,
): Promise<{ runState: RunState; over?: true; wakes?: Wake[] }> {
  const cancelled = await db.call<{ runState: RunState; over?: true; wakes?: Wake[] } | null>(
    sql`app.cancel_run(${runId})`,
  )
  if (!cancelled) throw notFound('run')
  return cancelled
}

export type Run = {
  id: RunId
  pipelineId: PipelineId
  pipelineName: string
  version: number
  state: RunState
  trigger: RunTrigger
  parameters: Record<string, unknown>
  startedBy: string
  createdAt: Date
  startedAt: Date | null
  finishedAt: Date | null
}

const runColumns = {
  id: runs.id,
  pipelineId: runs.pipelineId,
  pipelineName: pipelines.name,
  version: pipelineVersions.version,
  state: runs.state,
  trigger: runs.trigger,
  parameters: runs.parameters,
  startedBy: runs.startedBy,
  createdAt: runs.createdAt,
  startedAt: runs.startedAt,
  finishedAt: runs.finishedAt,
}

const selectRuns = (db: TenantDb) =>
  db.sql
    .select(runColumns)
    .from(runs)
    .innerJoin(pipelines, and(eq(pipelines.tenantId, runs.tenantId), eq(pipelines.id, runs.pipelineId)))
    .innerJoin(
      pipelineVersions,
      and(eq(pipelineVersions.tenantId, runs.tenantId), eq(pipelineVersions.id, runs.versionId)),
    )

export type RunFilter = {
  pipelineId?: PipelineId | undefined
  state?: RunState | undefined
  before?: RunId | undefined
}

/** Written out: this is the console's most frequent question, and building it anew each time is a tenth of its cost. */
const listing = `
  select r.id, r.pipeline_id as "pipelineId", p.name as "pipelineName", v.version, r.state, r.trigger, r.parameters,
    r.started_by as "startedBy", r.created_at as "createdAt", r.started_at as "startedAt", r.finished_at as "finishedAt"
  from runs r
  join pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id
  join pipeline_versions v on v.tenant_id = r.tenant_id and v.id = r.version_id
  where r.tenant_id = $1 and ($2::text is null or r.pipeline_id = $2) and ($3::text is null or r.state = $3)
    and ($4::text is null or r.id < $4)
  order by r.id desc limit $5`

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listRuns(db: TenantDb, filter: RunFilter, limit: number): Promise<Run[]> {
  const { pipelineId = null, state = null, before = null } = filter
  const [found] = await db.statements([
    { text: listing, params: [db.tenantId, pipelineId, state, before, limit + 1] },
  ])
  return ((found?.rows ?? []) as Listed[]).map((run) => ({
    ...run,
    createdAt: new Date(run.createdAt),
    startedAt: run.startedAt === null ? null : new Date(run.startedAt),
    finishedAt: run.finishedAt === null ? null : new Date(run.finishedAt),
  }))
}

/** Times come as the server writes them. */
type Times = 'createdAt' | 'startedAt' | 'finishedAt'
type Listed = Omit<Run, Times> & { createdAt: string; startedAt: string | null; finishedAt: string | null }

export type Step = {
  key: string
  kind: string
  state: StepState
  attempt: number
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  error: { code: string; message: string } | null
  startedAt: Date | null
  finishedAt: Date | null
}

export async function getRun(db: TenantDb, id: RunId): Promise<Run & { steps: Step[] }> {
  const [[run], stepRows] = await db.run(
    selectRuns(db).where(and(eq(runs.tenantId, db.tenantId), eq(runs.id, id))),
    db.sql
      .select({
        key: steps.key,
        kind: steps.kind,
        state: steps.state,
        attempt: steps.attempt,
        rowsIn: steps.rowsIn,
        rowsOut: steps.rowsOut,
        rowsRejected: steps.rowsRejected,
        error: steps.error,
        startedAt: steps.startedAt,
        finishedAt: steps.finishedAt,
      })
      .from(steps)
      .where(and(eq(steps.tenantId, db.tenantId), eq(steps.runId, id)))
      .orderBy(steps.position, steps.mapIndex),
  )
  if (!run) throw notFound('run')
  return { ...run, steps: stepRows }
}

export type RunEvent = {
  seq: number
  at: Date
  type: string
  stepKey: string | null
  actor: string
  data: Record<string, unknown> | null
}

/** The events after number `after`, in order, and how the run stands; the run's absence is a 404. */
export async function eventsOf(
  db: TenantDb,
  runId: RunId,
  after: number,
  limit: number,
): Promise<{
  events: RunEvent[]
  finished: boolean
  steps: Pick<Step, 'key' | 'state' | 'rowsIn' | 'rowsOut' | 'rowsRejected'>[]
}> {
  const [[run], events, progress] = await db.run(
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
        actor: runEvents.actor,
        data: runEvents.data,
      })
      .from(runEvents)
      .where(and(eq(runEvents.tenantId, db.tenantId), eq(runEvents.runId, runId), gt(runEvents.seq, after)))
      .orderBy(runEvents.seq)
      .limit(limit),
    db.sql
      .select({
        key: steps.key,
        state: steps.state,
        rowsIn: steps.rowsIn,
        rowsOut: steps.rowsOut,
        rowsRejected: steps.rowsRejected,
      })
      .from(steps)
      .where(and(eq(steps.tenantId, db.tenantId), eq(steps.runId, runId), eq(steps.state, 'running'))),
  )
  if (!run) throw notFound('run')
  return { events, finished: run.finishedAt !== null && events.length < limit, steps: progress }
}

export type QualityResult = {
  stepKey: string
  rule: string
  column: string | null
  onFail: string
  checked: number
  failed: number
  passed: boolean
}

export async function qualityOf(db: TenantDb, runId: RunId): Promise<QualityResult[]> {
  const [[run], results] = await db.run(
    db.sql
      .select({ id: runs.id })
      .from(runs)
      .where(and(eq(runs.tenantId, db.tenantId), eq(runs.id, runId))),
    db.sql
      .select({
        stepKey: qualityResults.stepKey,
        rule: qualityResults.rule,
        column: qualityResults.column,
        onFail: qualityResults.onFail,
        checked: qualityResults.checked,
        failed: qualityResults.failed,
        passed: qualityResults.passed,
      })
      .from(qualityResults)
      .where(and(eq(qualityResults.tenantId, db.tenantId), eq(qualityResults.runId, runId)))
      .orderBy(qualityResults.stepKey, qualityResults.position),
  )
  if (!run) throw notFound('run')
  return results
}
