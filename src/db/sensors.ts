import { sql } from 'drizzle-orm'
import type { DatasetVersionId, RunId } from '#src/domain/id.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

/** The dataset's current version, when it was made within the last `withinMs`. */
export async function freshVersion(
  db: TenantDb,
  dataset: string,
  withinMs: number,
): Promise<{ versionId: DatasetVersionId; updatedAt: string } | undefined> {
  const [result] = await db.statements([
    statement(sql`
      select v.id, v.ready_at
      from datasets d
      join dataset_versions v on v.tenant_id = d.tenant_id and v.id = d.current_version_id
      where d.tenant_id = ${db.tenantId} and d.name = ${dataset}
        and v.ready_at >= now() - ${withinMs}::bigint * interval '1 ms'`),
  ])
  const [row] = result?.rows ?? []
  if (!row) return undefined
  return {
    versionId: row['id'] as DatasetVersionId,
    updatedAt: new Date(String(row['ready_at'])).toISOString(),
  }
}

/** The pipeline's latest run that succeeded within the last `withinMs`. */
export async function freshRun(
  db: TenantDb,
  pipeline: string,
  withinMs: number,
): Promise<{ runId: RunId; state: string } | undefined> {
  const [result] = await db.statements([
    statement(sql`
      select r.id, r.state from runs r
      where r.tenant_id = ${db.tenantId} and r.pipeline_id = (
          select p.id from pipelines p where p.tenant_id = ${db.tenantId} and p.name = ${pipeline} and p.deleted_at is null)
        and r.state in ('succeeded', 'succeeded_with_warnings')
        and r.finished_at >= now() - ${withinMs}::bigint * interval '1 ms'
      order by r.id desc limit 1`),
  ])
  const [row] = result?.rows ?? []
  return row ? { runId: row['id'] as RunId, state: String(row['state']) } : undefined
}
