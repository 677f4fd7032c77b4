import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
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
  UserId,
} from '#src/domain/id.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import type { Json } from '#src/domain/json.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { RunState, RunTrigger, StepState } from '#src/domain/run-state.ts'

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const tenantId = text('tenant_id').$type<TenantId>().notNull()
const createdAt = at('created_at').notNull().defaultNow()

export const tenants = pgTable('tenants', {
  tenantId: text('tenant_id').$type<TenantId>().primaryKey(),
  name: text('name').notNull(),
  /** Runs of the tenant at once; null is no limit of its own. */
  concurrency: integer('concurrency'),
  createdAt,
})

/** People belong to no tenant: only functions of the schema app see this table. */
export const users = pgTable(
  'users',
  {
    id: text('id').$type<UserId>().primaryKey(),
    email: text('email').notNull(),
    passwordHash: text('password_hash').notNull(),
    createdAt,
  },
  (t) => [uniqueIndex('users_email').on(sql`lower(${t.email})`)],
)

export const memberships = pgTable(
  'memberships',
  {
    tenantId,
    userId: text('user_id')
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    role: text('role').$type<RoleName>().notNull(),
    createdAt,
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.userId] }),
    index('memberships_user').on(t.userId),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
    check(
      'memberships_role',
      sql`${t.role} in ('owner','admin','developer','analyst','operator','viewer','guest') or ${t.role} ~ '^rol_[0-9a-z]{26}$'`,
    ),
  ],
)

/** One row a refresh token; a family is one sign-in. A rotated token stays, so that its reuse is noticed. */
export const sessions = pgTable(
  'sessions',
  {
    tenantId,
    id: text('id').$type<Id<'session'>>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    familyId: text('family_id').$type<Id<'session'>>().notNull(),
    tokenHash: text('token_hash').notNull(),
    createdAt,
    expiresAt: at('expires_at').notNull(),
    rotatedAt: at('rotated_at'),
    revokedAt: at('revoked_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('sessions_token').on(t.tokenHash),
    index('sessions_family').on(t.tenantId, t.familyId),
    foreignKey({
      columns: [t.tenantId, t.userId],
      foreignColumns: [memberships.tenantId, memberships.userId],
    }).onDelete('cascade'),
  ],
)

export const apiKeys = pgTable(
  'api_keys',
  {
    tenantId,
    id: text('id').$type<Id<'apiKey'>>().notNull(),
    name: text('name').notNull(),
    keyHash: text('key_hash').notNull(),
    /** The first characters, to tell keys apart. */
    hint: text('hint').notNull(),
    scopes: text('scopes').array().notNull(),
    createdBy: text('created_by').notNull(),
    createdAt,
    expiresAt: at('expires_at'),
    lastUsedAt: at('last_used_at'),
    revokedAt: at('revoked_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('api_keys_hash').on(t.keyHash),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

/** The tenant's data key, sealed by the master key. */
export const dataKeys = pgTable(
  'data_keys',
  {
    tenantId,
    sealed: text('sealed').notNull(),
    createdAt,
  },
  (t) => [
    primaryKey({ columns: [t.tenantId] }),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

export const connections = pgTable(
  'connections',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('connections_name').on(t.tenantId, t.name),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

export const datasets = pgTable(
  'datasets',
  {
    tenantId,
    id: text('id').$type<DatasetId>().notNull(),
    name: text('name').notNull(),
    projectId: text('project_id').$type<ProjectId>(),
    /** The version that readers see. */
    currentVersionId: text('current_version_id').$type<DatasetVersionId>(),
    createdAt,
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('datasets_name').on(t.tenantId, t.name),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

export const pipelines = pgTable(
  'pipelines',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('pipelines_name')
      .on(t.tenantId, t.name)
      .where(sql`deleted_at is null`),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

export const pipelineVersions = pgTable(
  'pipeline_versions',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('pipeline_versions_number').on(t.tenantId, t.pipelineId, t.version),
    foreignKey({ columns: [t.tenantId, t.pipelineId], foreignColumns: [pipelines.tenantId, pipelines.id] }),
  ],
)

export const schedules = pgTable(
  'schedules',
  {
    tenantId,
    id: text('id').$type<Id<'schedule'>>().notNull(),
    pipelineId: text('pipeline_id').$type<PipelineId>().notNull(),
    cron: text('cron').notNull(),
    timezone: text('timezone').notNull(),
    nextFireAt: at('next_fire_at').notNull(),
    createdAt,
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    index('schedules_due').on(t.nextFireAt),
    index('schedules_pipeline').on(t.tenantId, t.pipelineId),
    foreignKey({ columns: [t.tenantId, t.pipelineId], foreignColumns: [pipelines.tenantId, pipelines.id] }),
  ],
)

export const runs = pgTable(
  'runs',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    index('runs_pipeline').on(t.tenantId, t.pipelineId, t.id),
    index('runs_open')
      .on(t.tenantId, t.pipelineId, t.id)
      .where(sql`finished_at is null`),
    index('runs_queued')
      .on(t.tenantId, t.pipelineId, t.priority.desc(), t.id)
      .where(sql`state = 'queued'`),
    index('runs_children')
      .on(t.tenantId, t.parentRunId)
      .where(sql`parent_run_id is not null and finished_at is null`),
    index('runs_backfill')
      .on(t.tenantId, t.backfillId, t.id)
      .where(sql`backfill_id is not null`),
    index('runs_deadline')
      .on(t.deadlineAt)
      .where(sql`finished_at is null`),
    foreignKey({ columns: [t.tenantId, t.pipelineId], foreignColumns: [pipelines.tenantId, pipelines.id] }),
    foreignKey({
      columns: [t.tenantId, t.versionId],
      foreignColumns: [pipelineVersions.tenantId, pipelineVersions.id],
    }),
    check(
      'runs_state',
      sql`${t.state} in ('queued','running','waiting','succeeded','succeeded_with_warnings','failed','cancelling','cancelled')`,
    ),
  ],
)

export const steps = pgTable(
  'steps',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.runId, t.key, t.mapIndex] }),
    index('steps_open')
      .on(t.tenantId, t.runId, t.position, t.mapIndex)
      .where(sql`state in ('ready', 'running', 'waiting')`),
    index('steps_pending')
      .on(t.tenantId, t.runId)
      .where(sql`state = 'pending'`),
    index('steps_connection')
      .on(t.tenantId, t.connection)
      .where(sql`connection is not null and state in ('ready', 'running')`),
    index('steps_lease')
      .on(t.leaseUntil)
      .where(sql`state = 'running'`),
    foreignKey({ columns: [t.tenantId, t.runId], foreignColumns: [runs.tenantId, runs.id] }).onDelete(
      'cascade',
    ),
    check(
      'steps_state',
      sql`${t.state} in ('pending','ready','running','waiting','succeeded','failed','skipped','cancelled')`,
    ),
  ],
)

/** Every move of a run and its steps, in order; what the live stream sends. */
export const runEvents = pgTable(
  'run_events',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.runId, t.seq] }),
    foreignKey({ columns: [t.tenantId, t.runId], foreignColumns: [runs.tenantId, runs.id] }).onDelete(
      'cascade',
    ),
  ],
)

/** A step that failed for good, until somebody has it done again or lets it be. */
export const deadLetters = pgTable(
  'dead_letters',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('dead_letters_step').on(t.tenantId, t.runId, t.stepKey),
    index('dead_letters_pipeline').on(t.tenantId, t.pipelineId, t.id),
    index('dead_letters_open')
      .on(t.tenantId, t.id)
      .where(sql`state = 'open'`),
    foreignKey({ columns: [t.tenantId, t.runId], foreignColumns: [runs.tenantId, runs.id] }).onDelete(
      'cascade',
    ),
    check('dead_letters_state', sql`${t.state} in ('open','replayed','dismissed')`),
  ],
)

/** A typed table of the schema data, named after the version. */
export const datasetVersions = pgTable(
  'dataset_versions',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    uniqueIndex('dataset_versions_step').on(t.tenantId, t.runId, t.stepKey),
    index('dataset_versions_dataset').on(t.tenantId, t.datasetId, t.id),
    foreignKey({ columns: [t.tenantId, t.datasetId], foreignColumns: [datasets.tenantId, datasets.id] }),
    foreignKey({ columns: [t.tenantId, t.runId], foreignColumns: [runs.tenantId, runs.id] }),
  ],
)

export const qualityResults = pgTable(
  'quality_results',
  {
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
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.runId, t.stepKey, t.position] }),
    foreignKey({ columns: [t.tenantId, t.runId], foreignColumns: [runs.tenantId, runs.id] }).onDelete(
      'cascade',
    ),
  ],
)

/**
 * What must be delivered after the commit that wrote it. The delivery itself deletes its row; the tick sends again what
 * is still here when `send_after` has passed, so a message that was never published or got lost is only late.
 */
export const outbox = pgTable(
  'outbox',
  {
    tenantId,
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity(),
    kind: text('kind').$type<'run' | 'connection.drop_stage'>().notNull(),
    payload: jsonb('payload').$type<Record<string, unknown>>().notNull(),
    notBefore: at('not_before'),
    sendAfter: at('send_after').notNull(),
    attempts: smallint('attempts').notNull().default(0),
    createdAt,
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.id] }),
    index('outbox_due').on(t.sendAfter),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenantId,
    actor: text('actor').notNull(),
    key: text('key').notNull(),
    fingerprint: text('fingerprint').notNull(),
    state: text('state').$type<'running' | 'done'>().notNull(),
    lockedUntil: at('locked_until').notNull(),
    status: smallint('status'),
    headers: jsonb('headers').$type<Record<string, string>>(),
    body: text('body'),
    createdAt,
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.actor, t.key] }),
    index('idempotency_keys_age').on(t.createdAt),
    foreignKey({ columns: [t.tenantId], foreignColumns: [tenants.tenantId] }),
  ],
)
