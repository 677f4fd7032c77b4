import { and, desc, eq, inArray, isNull, lt, sql } from 'drizzle-orm'
import type { PipelineId, PipelineVersionId, ProjectId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { TenantDb } from './database.ts'
import { dropSchedules, saveSchedules, type NewSchedule } from './schedules.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import { pipelines, pipelineVersions } from './schema.ts'
import { saveTriggers, type NewTrigger } from './triggers.ts'

export type Pipeline = {
  id: PipelineId
  name: string
  projectId: ProjectId | null
  version: number
  definition: Definition
  source: string
  format: 'yaml' | 'json'
  pausedAt: Date | null
  pausedBy: string | null
  pausedReason: string | null
  createdAt: Date
  updatedAt: Date
}

/** What saving a definition stores. */
export type NewVersion = {
  id: PipelineVersionId
  definition: Definition
  plan: PlannedStep[]
  source: string
  format: 'yaml' | 'json'
  createdBy: string
  schedules: NewSchedule[]
  triggers: NewTrigger[]
}

export async function insertPipeline(
  db: TenantDb,
  id: PipelineId,
  projectId: ProjectId | undefined,
  version: NewVersion,
): Promise<void> {
  const [[made]] = await db.run(
    db.sql
      .insert(pipelines)
      .values({ tenantId: db.tenantId, id, name: version.definition.name, currentVersion: 1, projectId })
      .onConflictDoNothing()
      .returning({ id: pipelines.id }),
    versionInsert(db, id, 1, version),
    ...triggersOf(db, id, version),
  )
  if (!made) throw nameTaken(version.definition.name)
}

export const nameTaken = (name: string) =>
  new Problem('conflict', `There is a pipeline named "${name}" already.`)

/** Both statements write only where the pipeline of this id has this version, so a lost race stores nothing. */
function versionInsert(db: TenantDb, id: PipelineId, number: number, version: NewVersion) {
  return db.sql.execute(sql`
    insert into pipeline_versions (tenant_id, id, pipeline_id, version, definition, plan, source, format, concurrency, created_by)
    select p.tenant_id, ${version.id}, p.id, p.current_version, ${JSON.stringify(version.definition)}::jsonb,
      ${JSON.stringify(version.plan)}::jsonb, ${version.source}, ${version.format},
      ${version.definition.concurrency ?? null}::int, ${version.createdBy}
    from pipelines p where p.tenant_id = ${db.tenantId} and p.id = ${id} and p.current_version = ${number}
    on conflict (tenant_id, pipeline_id, version) do nothing`)
}

/** What starts it by itself becomes that of the new version; nothing changes where that lost a race. */
const triggersOf = (db: TenantDb, id: PipelineId, { id: versionId, schedules, triggers }: NewVersion) =>
  [
    dropSchedules(db, 'schedules', id, versionId, keysOf(schedules)),
    saveSchedules(db, id, versionId, schedules),
    dropSchedules(db, 'triggers', id, versionId, keysOf(triggers)),
    saveTriggers(db, id, versionId, triggers),
  ].map((statement) => db.sql.execute(statement))

const keysOf = (rows: readonly { key: string }[]) => rows.map(({ key }) => key)

/** Stores the next version where the current one is among `expected`; undefined when it is not, or is gone. */
export async function replacePipeline(
  db: TenantDb,
  id: PipelineId,
  expected: readonly number[] | 'any',
  current: number,
  version: NewVersion,
): Promise<number | undefined> {
  const number = current + 1
  if (expected !== 'any' && !expected.includes(current)) return undefined
  const [[changed]] = await db.run(
    db.sql
      .update(pipelines)
      .set({ currentVersion: number, name: version.definition.name, updatedAt: sql`now()` })
      .where(
        and(
          eq(pipelines.tenantId, db.tenantId),
          eq(pipelines.id, id),
          eq(pipelines.currentVersion, current),
          isNull(pipelines.deletedAt),
        ),
      )
      .returning({ version: pipelines.currentVersion }),
    versionInsert(db, id, number, version),
    ...triggersOf(db, id, version),
  )
  return changed?.version
}

const columns = {
  id: pipelines.id,
  name: pipelines.name,
  projectId: pipelines.projectId,
  version: pipelineVersions.version,
  definition: pipelineVersions.definition,
  source: pipelineVersions.source,
  format: pipelineVersions.format,
  pausedAt: pipelines.pausedAt,
  pausedBy: pipelines.pausedBy,
  pausedReason: pipelines.pausedReason,
  createdAt: pipelines.createdAt,
  updatedAt: pipelines.updatedAt,
}

const selectPipelines = (db: TenantDb) =>
  db.sql
    .select(columns)
    .from(pipelines)
    .innerJoin(
      pipelineVersions,
      and(
        eq(pipelineVersions.tenantId, pipelines.tenantId),
        eq(pipelineVersions.pipelineId, pipelines.id),
        eq(pipelineVersions.version, pipelines.currentVersion),
      ),
    )

export async function getPipeline(db: TenantDb, id: PipelineId): Promise<Pipeline> {
  const [[found]] = await db.run(
    selectPipelines(db).where(
      and(eq(pipelines.tenantId, db.tenantId), eq(pipelines.id, id), isNull(pipelines.deletedAt)),
    ),
  )
  if (!found) throw notFound('pipeline')
  return found
}

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listPipelines(
  db: TenantDb,
  before: PipelineId | undefined,
  limit: number,
  projectId?: ProjectId,
): Promise<Pipeline[]> {
  const [rows] = await db.run(
    selectPipelines(db)
      .where(
        and(
          eq(pipelines.tenantId, db.tenantId),
          isNull(pipelines.deletedAt),
          before ? lt(pipelines.id, before) : undefined,
          projectId ? eq(pipelines.projectId, projectId) : undefined,
        ),
      )
      .orderBy(desc(pipelines.id))
      .limit(limit + 1),
  )
  return rows
}

export type PipelineVersion = {
  version: number
  source: string
  format: 'yaml' | 'json'
  createdBy: string
  createdAt: Date
}

export async function listPipelineVersions(
  db: TenantDb,
  id: PipelineId,
  before: number | undefined,
  limit: number,
): Promise<PipelineVersion[]> {
  const [[pipeline], rows] = await db.run(
    db.sql
      .select({ id: pipelines.id })
      .from(pipelines)
      .where(and(eq(pipelines.tenantId, db.tenantId), eq(pipelines.id, id), isNull(pipelines.deletedAt))),
    db.sql
      .select({
        version: pipelineVersions.version,
        source: pipelineVersions.source,
        format: pipelineVersions.format,
        createdBy: pipelineVersions.createdBy,
        createdAt: pipelineVersions.createdAt,
      })
      .from(pipelineVersions)
      .where(
        and(
          eq(pipelineVersions.tenantId, db.tenantId),
          eq(pipelineVersions.pipelineId, id),
          before ? lt(pipelineVersions.version, before) : undefined,
        ),
      )
      .orderBy(desc(pipelineVersions.version))
      .limit(limit + 1),
  )
  if (!pipeline) throw notFound('pipeline')
  return rows
}

/** Hides the pipeline and stops what starts it, where it still is in a version that the caller expects; its runs stay. */
export async function deletePipeline(
  db: TenantDb,
  id: PipelineId,
  expected: readonly number[] | 'any',
): Promise<'deleted' | 'changed'> {
  const one = and(eq(pipelines.tenantId, db.tenantId), eq(pipelines.id, id), isNull(pipelines.deletedAt))
  const of = (table: 'schedules' | 'triggers') =>
    db.sql.execute(sql`
      delete from ${sql.identifier(table)} s using pipelines p
      where s.tenant_id = ${db.tenantId} and s.pipeline_id = ${id} and p.tenant_id = s.tenant_id and p.id = s.pipeline_id
        and p.deleted_at is not null`)
  const [[gone], [left]] = await db.run(
    db.sql
      .update(pipelines)
      .set({ deletedAt: sql`now()` })
      .where(and(one, expected === 'any' ? undefined : inArray(pipelines.currentVersion, [...expected])))
      .returning({ id: pipelines.id }),
    db.sql.select({ id: pipelines.id }).from(pipelines).where(one),
    of('schedules'),
    of('triggers'),
  )
  if (gone) return 'deleted'
  if (!left) throw notFound('pipeline')
  return 'changed'
}
