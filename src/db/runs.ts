import { and, between, eq, gt, sql } from 'drizzle-orm'
import type { Id, PipelineId, RunId } from '#src/domain/id.ts'
import type { Json } from '#src/domain/json.ts'
import { itemsInside, placeOfItem, span, type ItemPlace } from '#src/domain/item-place.ts'
import { notFound } from '#src/domain/problem.ts'
import type { Role } from '#src/domain/role.ts'
import type { RunState, RunTrigger, StepState } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'
import { pipelines, pipelineVersions, qualityResults, runs, steps } from './schema.ts'

export type Run = {
  id: RunId
  pipelineId: PipelineId
  pipelineName: string
  version: number
  state: RunState
  trigger: RunTrigger
  priority: number
  /** The run whose steps it has taken over, but for those that it does again. */
  rerunOf: RunId | null
  /** The run one of whose steps started it. */
  parentRunId: RunId | null
  backfillId: Id<'backfill'> | null
  /** The time that it stands for. */
  scheduledFor: Date | null
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
  priority: runs.priority,
  rerunOf: runs.rerunOf,
  parentRunId: runs.parentRunId,
  backfillId: runs.backfillId,
  scheduledFor: runs.scheduledFor,
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
  backfillId?: Id<'backfill'> | undefined
  before?: RunId | undefined
}

/** Written out: this is the console's most frequent question, and building it anew each time is a tenth of its cost. */
const listing = `
  select r.id, r.pipeline_id as "pipelineId", p.name as "pipelineName", v.version, r.state, r.trigger, r.priority,
    r.rerun_of as "rerunOf", r.parent_run_id as "parentRunId", r.backfill_id as "backfillId", r.scheduled_for as "scheduledFor", r.parameters, r.started_by as "startedBy", r.created_at as "createdAt", r.started_at as "startedAt", r.finished_at as "finishedAt"
  from runs r
  join pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id
  join pipeline_versions v on v.tenant_id = r.tenant_id and v.id = r.version_id
  where r.tenant_id = $1 and ($2::text is null or r.pipeline_id = $2) and ($3::text is null or r.state = $3)
    and ($4::text is null or r.id < $4) and ($6::text is null or r.backfill_id = $6)
    and ($3::text is null or $3 not in ('queued', 'running', 'waiting', 'cancelling') or r.finished_at is null)
  order by r.id desc limit $5`

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listRuns(db: TenantDb, filter: RunFilter, limit: number): Promise<Run[]> {
  const { pipelineId = null, state = null, before = null, backfillId = null } = filter
  const [found] = await db.statements([
    { text: listing, params: [db.tenantId, pipelineId, state, before, limit + 1, backfillId] },
  ])
  return ((found?.rows ?? []) as Listed[]).map((run) => ({
    ...run,
    scheduledFor: run.scheduledFor === null ? null : new Date(run.scheduledFor),
    createdAt: new Date(run.createdAt),
    startedAt: run.startedAt === null ? null : new Date(run.startedAt),
    finishedAt: run.finishedAt === null ? null : new Date(run.finishedAt),
  }))
}

/** Times come as the server writes them. */
type Times = 'scheduledFor' | 'createdAt' | 'startedAt' | 'finishedAt'
type Listed = Omit<Run, Times> & {
  scheduledFor: string | null
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
}

export type Step = {
  key: string
  kind: string
  state: StepState
  attempt: number
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  error: { code: string; message: string } | null
  /** The run that did it, where this one has taken it over. */
  copiedFrom: RunId | null
  startedAt: Date | null
  finishedAt: Date | null
  waitsFor: WaitsFor | null
  /** Of a map: how many items it has, and how many of them have not ended. */
  items: { total: number; open: number } | null
}

/** One item of a map; its number begins with 1. `items` are those of the map inside it that it has come to last. */
export type Item = Omit<Step, 'key' | 'kind' | 'copiedFrom' | 'rowsIn' | 'rowsOut' | 'rowsRejected'> &
  ItemPlace

/** Whose answer a step waits for, where that is a person or whoever is told the address; of an item of a map with its place. */
export type WaitsFor = {
  approval?: { message?: string; roles: Role[] }
  callback?: { url: string }
} & Partial<ItemPlace>

const waitsFor = sql<WaitsFor | null>`case when ${steps.state} = 'waiting'
  and coalesce(${steps.cursor}->'inner', ${steps.cursor}) ?| array['approval', 'callback'] then jsonb_strip_nulls(jsonb_build_object(
    'approval', coalesce(${steps.cursor}->'inner', ${steps.cursor})->'approval',
    'callback', coalesce(${steps.cursor}->'inner', ${steps.cursor})->'callback',
    'item', nullif(${steps.mapIndex} % ${sql.raw(String(span))}, 0), 'outer', nullif(${steps.mapIndex} / ${sql.raw(String(span))}, 0))) end`

const itemCounts = sql<Step['items']>`case when ${steps.mapTotal} is not null then
  jsonb_build_object('total', ${steps.mapTotal}, 'open', coalesce(${steps.mapOpen}, 0)) end`

const stepColumns = {
  key: steps.key,
  kind: steps.kind,
  state: steps.state,
  attempt: steps.attempt,
  rowsIn: steps.rowsIn,
  rowsOut: steps.rowsOut,
  rowsRejected: steps.rowsRejected,
  error: steps.error,
  copiedFrom: steps.copiedFrom,
  startedAt: steps.startedAt,
  finishedAt: steps.finishedAt,
  waitsFor,
  items: itemCounts,
}

export async function getRun(db: TenantDb, id: RunId): Promise<Run & { steps: Step[] }> {
  const [[run], stepRows] = await db.run(
    selectRuns(db).where(and(eq(runs.tenantId, db.tenantId), eq(runs.id, id))),
    db.sql
      .select(stepColumns)
      .from(steps)
      .where(and(eq(steps.tenantId, db.tenantId), eq(steps.runId, id), eq(steps.mapIndex, 0)))
      .orderBy(steps.position),
  )
  if (!run) throw notFound('run')
  return { ...run, steps: stepRows }
}

/** One step with its output: what it has given to those that name it, if anything. */
export async function getStep(db: TenantDb, id: RunId, key: string): Promise<Step & { output: Json | null }> {
  const [[step]] = await db.run(
    db.sql
      .select({ ...stepColumns, output: steps.output })
      .from(steps)
      .where(
        and(eq(steps.tenantId, db.tenantId), eq(steps.runId, id), eq(steps.key, key), eq(steps.mapIndex, 0)),
      ),
  )
  if (!step) throw notFound('step')
  return step
}

/** Whether the version has this map inside of that step. */
const hasInner = (outer: string, inner: string) => sql`exists (
  select from runs r
  join pipeline_versions v on v.tenant_id = r.tenant_id and v.id = r.version_id
  cross join jsonb_array_elements(v.definition->'steps') o
  cross join jsonb_array_elements(o->'map'->'steps') i
  where r.tenant_id = ${steps.tenantId} and r.id = ${steps.runId} and o->>'id' = ${outer} and i->>'id' = ${inner}
    and i->>'kind' = 'map')`

/**
 * Items of a mapped step, or of a map inside of one (outer.inner), that have begun, by their numbers; one more than `limit`
 * says that there are further ones.
 * @param after the number by which the database knows the last one seen
 */
export async function listItems(
  db: TenantDb,
  id: RunId,
  key: string,
  { state, outer, after }: { state?: StepState | undefined; outer?: number | undefined; after: number },
  limit: number,
): Promise<Item[]> {
  const [stepKey = key] = key.split('.')
  const inner = stepKey === key ? undefined : key.slice(stepKey.length + 1)
  const inside = outer === undefined ? undefined : itemsInside(outer)
  const [[step], found] = await db.run(
    db.sql
      .select({ key: steps.key })
      .from(steps)
      .where(
        and(
          eq(steps.tenantId, db.tenantId),
          eq(steps.runId, id),
          eq(steps.key, stepKey),
          eq(steps.mapIndex, 0),
          inner === undefined ? undefined : hasInner(stepKey, inner),
        ),
      ),
    db.sql
      .select({
        index: steps.mapIndex,
        state: steps.state,
        attempt: steps.attempt,
        error: steps.error,
        startedAt: steps.startedAt,
        finishedAt: steps.finishedAt,
        waitsFor,
        items: itemCounts,
      })
      .from(steps)
      .where(
        and(
          eq(steps.tenantId, db.tenantId),
          eq(steps.runId, id),
          eq(steps.key, key),
          gt(steps.mapIndex, after),
          inside && between(steps.mapIndex, inside.from, inside.to),
          state && eq(steps.state, state),
        ),
      )
      .orderBy(steps.mapIndex)
      .limit(limit + 1),
  )
  if (!step) throw notFound('step')
  return found.map(({ index, ...item }) => ({ ...item, ...placeOfItem(index) }))
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
