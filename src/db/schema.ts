import { sql } from 'drizzle-orm'
import { bigint, boolean, integer, jsonb, pgTable, smallint, text, timestamp } from 'drizzle-orm/pg-core'
import type { ColumnSpec } from '#src/domain/column.ts'
import type {
  ConnectionId,
  DatasetId,
  DatasetVersionId,
  DeadLetterId,
  Id,
  PipelineId,
  PipelineVersionId,
  ProjectId,
  RunId,
  TenantId,
} from '#src/domain/id.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import type { Json } from '#src/domain/json.ts'
import type { RunState, RunTrigger, StepState } from '#src/domain/run-state.ts'

/**
 * The columns of the tables that typed queries read, as the migrations make them: constraints, indexes, policies and every other
 * table are theirs alone.
 */
const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const tenantId = text('tenant_id').$type<TenantId>().notNull()
const createdAt = at('created_at').notNull().defaultNow()

/** The tenant's data key, sealed by the master key. */
export const dataKeys = pgTable('data_keys', {
  tenantId,
  sealed: text('sealed').notNull(),
  createdAt,
})

export const connections = pgTable('connections', {
  tenantId,
  id: text('id').$type<ConnectionId>().notNull(),
  name: text('name').notNull(),
  projectId: text('project_id').$type<ProjectId>(),
  kind: text('kind').$type<'postgres' | 'files'>().notNull(),
  config: jsonb('config').$type<Record<string, unknown>>().notNull(),
  /** Sealed under the tenant's data key, bound to this tenant and connection. */
  secret: text('secret'),
  /** Steps at work with it at once; null is no limit. */
  concurrency: integer('concurrency'),
  /** Failures of the other side, one after the other; after some the connection rests until `restsUntil`. */
  failures: integer('failures').notNull().default(0),
  restsUntil: at('rests_until'),
  version: integer('version').notNull().default(1),
  createdAt,
  updatedAt: at('updated_at').notNull().defaultNow(),
})

export const datasets = pgTable('datasets', {
  tenantId,
  id: text('id').$type<DatasetId>().notNull(),
  name: text('name').notNull(),
  projectId: text('project_id').$type<ProjectId>(),
  /** The version that readers see. */
  currentVersionId: text('current_version_id').$type<DatasetVersionId>(),
  createdAt,
  updatedAt: at('updated_at').notNull().defaultNow(),
})

export const pipelines = pgTable('pipelines', {
  tenantId,
  id: text('id').$type<PipelineId>().notNull(),
  name: text('name').notNull(),
  projectId: text('project_id').$type<ProjectId>(),
  currentVersion: integer('current_version').notNull(),
  /** Nothing starts while it is paused; what has begun goes on. */
  pausedAt: at('paused_at'),
  pausedBy: text('paused_by'),
  pausedReason: text('paused_reason'),
  createdAt,
  updatedAt: at('updated_at').notNull().defaultNow(),
  deletedAt: at('deleted_at'),
})

export const pipelineVersions = pgTable('pipeline_versions', {
  tenantId,
  id: text('id').$type<PipelineVersionId>().notNull(),
  pipelineId: text('pipeline_id').$type<PipelineId>().notNull(),
  version: integer('version').notNull(),
  definition: jsonb('definition').$type<Definition>().notNull(),
  plan: jsonb('plan').$type<PlannedStep[]>().notNull(),
  /** As it was written, and in what. */
  source: text('source').notNull(),
  format: text('format').$type<'yaml' | 'json'>().notNull(),
  /** Runs of this pipeline at once; null is no limit. */
  concurrency: integer('concurrency'),
  createdBy: text('created_by').notNull(),
  createdAt,
})

export const runs = pgTable('runs', {
  tenantId,
  id: text('id').$type<RunId>().notNull(),
  pipelineId: text('pipeline_id').$type<PipelineId>().notNull(),
  versionId: text('version_id').$type<PipelineVersionId>().notNull(),
  state: text('state').$type<RunState>().notNull(),
  trigger: text('trigger').$type<RunTrigger>().notNull(),
  /** Of two that wait for a place the higher one goes first. */
  priority: smallint('priority').notNull().default(0),
  /** The time or the partition that the run stands for, where it stands for one. */
  scheduledFor: at('scheduled_for'),
  /** The step that waits for this run to finish. */
  parentRunId: text('parent_run_id').$type<RunId>(),
  parentStepKey: text('parent_step_key'),
  parentMapIndex: integer('parent_map_index'),
  /** The run whose succeeded steps this one has taken over. */
  rerunOf: text('rerun_of').$type<RunId>(),
  backfillId: text('backfill_id').$type<Id<'backfill'>>(),
  parameters: jsonb('parameters').$type<Record<string, unknown>>().notNull(),
  startedBy: text('started_by').notNull(),
  traceparent: text('traceparent'),
  /** Steps that are not finished yet; the run is over when none is left. */
  unfinished: integer('unfinished').notNull(),
  /** How many events it has: the number of the last one. */
  events: integer('events').notNull().default(0),
  createdAt,
  startedAt: at('started_at'),
  finishedAt: at('finished_at'),
  deadlineAt: at('deadline_at'),
})

export const steps = pgTable('steps', {
  tenantId,
  runId: text('run_id').$type<RunId>().notNull(),
  /** The id that the definition gives it. */
  key: text('key').notNull(),
  mapIndex: integer('map_index').notNull().default(0),
  kind: text('kind').notNull(),
  position: integer('position').notNull(),
  connection: text('connection'),
  needs: text('needs').array().notNull(),
  /** The steps whose outputs its definition names. */
  uses: text('uses').array(),
  /** How many of its needs have ended, and how; counted as they end. */
  needsSucceeded: integer('needs_succeeded').notNull().default(0),
  needsFailed: integer('needs_failed').notNull().default(0),
  needsSkipped: integer('needs_skipped').notNull().default(0),
  runWhen: text('run_when').notNull(),
  state: text('state').$type<StepState>().notNull(),
  attempt: integer('attempt').notNull().default(0),
  /** Grows with every claim; whoever holds an older one can write nothing. */
  fence: bigint('fence', { mode: 'number' }).notNull().default(0),
  leaseUntil: at('lease_until'),
  /** The delivery that holds the lease: its retry may take over at once. */
  claimedBy: text('claimed_by'),
  nextAttemptAt: at('next_attempt_at'),
  /** When the attempt under way began; it goes on through continuations and waits, and a retry begins another. */
  attemptAt: at('attempt_at'),
  /** What an answer from outside has to name, once, while the step waits for one. */
  answerKey: text('answer_key'),
  answer: jsonb('answer').$type<Json>(),
  /** What later steps may use of it. */
  output: jsonb('output').$type<Json>(),
  /** Of a step that maps: its items, those that are not finished, those that have been begun. */
  mapTotal: integer('map_total'),
  mapOpen: integer('map_open'),
  mapBegun: integer('map_begun'),
  /** Where the step has got to, committed with the rows it stands behind. */
  cursor: jsonb('cursor').$type<Record<string, unknown>>(),
  rowsIn: bigint('rows_in', { mode: 'number' }).notNull().default(0),
  rowsOut: bigint('rows_out', { mode: 'number' }).notNull().default(0),
  rowsRejected: bigint('rows_rejected', { mode: 'number' }).notNull().default(0),
  warned: boolean('warned').notNull().default(false),
  error: jsonb('error').$type<{ code: string; message: string }>(),
  startedAt: at('started_at'),
  finishedAt: at('finished_at'),
  /** In a rerun: the run that did the step, whose outcome this one has taken over. */
  copiedFrom: text('copied_from').$type<RunId>(),
})

/** Every move of a run and its steps, in order; what the live stream sends. */
export const runEvents = pgTable('run_events', {
  tenantId,
  runId: text('run_id').$type<RunId>().notNull(),
  /** Counts up within its run without a gap. */
  seq: integer('seq').notNull(),
  at: at('at')
    .notNull()
    .default(sql`clock_timestamp()`),
  type: text('type').notNull(),
  stepKey: text('step_key'),
  mapIndex: integer('map_index'),
  actor: text('actor').notNull(),
  data: jsonb('data').$type<Record<string, unknown>>(),
})

/** A step that failed for good, until somebody has it done again or lets it be. */
export const deadLetters = pgTable('dead_letters', {
  tenantId,
  id: text('id').$type<DeadLetterId>().notNull(),
  runId: text('run_id').$type<RunId>().notNull(),
  pipelineId: text('pipeline_id').$type<PipelineId>().notNull(),
  stepKey: text('step_key').notNull(),
  code: text('code').notNull(),
  message: text('message').notNull(),
  attempts: integer('attempts').notNull(),
  state: text('state').$type<'open' | 'replayed' | 'dismissed'>().notNull().default('open'),
  /** The run that does it again. */
  replayRunId: text('replay_run_id').$type<RunId>(),
  resolvedAt: at('resolved_at'),
  resolvedBy: text('resolved_by'),
  reason: text('reason'),
  createdAt,
})

/** A typed table of the schema data, named after the version. */
export const datasetVersions = pgTable('dataset_versions', {
  tenantId,
  id: text('id').$type<DatasetVersionId>().notNull(),
  datasetId: text('dataset_id').$type<DatasetId>().notNull(),
  state: text('state').$type<'building' | 'ready' | 'dropped'>().notNull(),
  columns: jsonb('columns').$type<ColumnSpec[]>().notNull(),
  rows: bigint('rows', { mode: 'number' }).notNull().default(0),
  runId: text('run_id').$type<RunId>().notNull(),
  stepKey: text('step_key').notNull(),
  createdAt,
  readyAt: at('ready_at'),
})

export const qualityResults = pgTable('quality_results', {
  tenantId,
  runId: text('run_id').$type<RunId>().notNull(),
  stepKey: text('step_key').notNull(),
  position: smallint('position').notNull(),
  rule: text('rule').notNull(),
  column: text('column_name'),
  onFail: text('on_fail').notNull(),
  checked: bigint('checked', { mode: 'number' }).notNull(),
  failed: bigint('failed', { mode: 'number' }).notNull(),
  passed: boolean('passed').notNull(),
})

/** What a request made, where that is enough to answer it. */
export type MadeRun = { id: RunId; state: RunState; pipelineId: PipelineId; rerunOf?: RunId }

export const idempotencyKeys = pgTable('idempotency_keys', {
  tenantId,
  actor: text('actor').notNull(),
  key: text('key').notNull(),
  fingerprint: text('fingerprint').notNull(),
  state: text('state').$type<'running' | 'effected' | 'lost' | 'done'>().notNull(),
  lockedUntil: at('locked_until').notNull(),
  status: smallint('status'),
  headers: jsonb('headers').$type<Record<string, string>>(),
  body: text('body'),
  made: jsonb('made').$type<MadeRun>(),
  createdAt,
})
