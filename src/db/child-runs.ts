import { sql } from 'drizzle-orm'
import type { PipelineId, RunId } from '#src/domain/id.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { TenantDb } from './database.ts'
import { statement, type Statement, type StatementResult } from './statement.ts'

export type ChildPipeline = {
  id: PipelineId
  version: number
  parameters: Definition['parameters']
  /** Runs that started one another, up to the one that asks. */
  depth: number
}

/** The current version of the pipeline that a run wants to start; undefined when there is none of that name. */
export async function findChildPipeline(
  db: TenantDb,
  runId: RunId,
  name: string,
  deepest: number,
): Promise<ChildPipeline | undefined> {
  const [result] = await db.statements([
    statement(sql`
      with recursive up(parent, depth) as (
        select r.parent_run_id, 1 from runs r where r.tenant_id = ${db.tenantId} and r.id = ${runId}
        union all
        select r.parent_run_id, up.depth + 1 from up
        join runs r on r.tenant_id = ${db.tenantId} and r.id = up.parent
        where up.depth < ${deepest}::int)
      select p.id, v.version, v.definition->'parameters' as parameters, (select max(depth) from up) as depth
      from pipelines p
      join pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
      where p.tenant_id = ${db.tenantId} and p.name = ${name} and p.deleted_at is null`),
  ])
  const [row] = result?.rows ?? []
  if (!row) return undefined
  return {
    id: row['id'] as PipelineId,
    version: Number(row['version']),
    parameters: row['parameters'] as Definition['parameters'],
    depth: Number(row['depth']),
  }
}

/** Starts the run in the transaction that it stands in, or fails that; see app.start_child. */
export const childStart = (
  child: { id: RunId; pipelineId: PipelineId },
  options: {
    parameters: Record<string, unknown>
    checkedFor: number
    traceparent?: string | undefined
    scheduledFor?: string | undefined
    parent: { runId: RunId; step?: string; mapIndex?: number }
  },
): Statement =>
  statement(
    sql`select app.start_child(${child.id}, ${child.pipelineId}, ${JSON.stringify(options)}::jsonb) as child`,
  )

/** The message in the outbox that wakes the child. */
export function childWakeIn(results: readonly StatementResult[], childId: RunId): number | undefined {
  const started = results
    .flatMap(({ rows }) => rows)
    .map((row) => row['child'] as { runId?: RunId; outboxId?: number } | undefined)
    .find((child) => child?.runId === childId)
  return started?.outboxId
}
