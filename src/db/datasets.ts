import { sql } from 'drizzle-orm'
import type { ColumnSpec } from '#src/domain/column.ts'
import { newId, type DatasetVersionId, type RunId } from '#src/domain/id.ts'
import { statement, type Statement } from './statement.ts'
import type { TenantDb } from './database.ts'

export type DatasetVersion = { id: DatasetVersionId; name: string; columns: ColumnSpec[]; rows: number }

/** The table of a version. An id holds nothing that needs escaping; see newId. */
export const tableOf = (version: DatasetVersionId): string => `data."${version}"`

/**
 * What readers of these datasets see inside a run: the newest version that the run itself made, else the current one.
 */
export async function versionsFor(db: TenantDb, runId: RunId, names: readonly string[]): Promise<Map<string, DatasetVersion>> {
  const [result] = await db.statements([
    statement(sql`
      select distinct on (d.name) d.name, v.id, v.columns, v.rows
      from datasets d
      join dataset_versions v on v.tenant_id = d.tenant_id and v.dataset_id = d.id and v.state = 'ready'
      where d.tenant_id = ${db.tenantId} and d.name = any(${sql.param([...names])}::text[])
        and (v.run_id = ${runId} or v.id = d.current_version_id)
      order by d.name, (v.run_id = ${runId}) desc, v.ready_at desc`),
  ])
  const rows = (result?.rows ?? []) as { name: string; id: DatasetVersionId; columns: ColumnSpec[]; rows: string }[]
  return new Map(rows.map((row) => [row.name, { id: row.id, name: row.name, columns: row.columns, rows: Number(row.rows) }]))
}

/** The statement that makes the table of a new version; see app.create_version. */
export function creation(
  version: DatasetVersionId,
  dataset: string,
  runId: RunId,
  stepKey: string,
  columns: readonly ColumnSpec[],
): Statement {
  const datasetId = newId('dataset')
  return statement(
    sql`select app.create_version(${version}, ${datasetId}, ${dataset}, ${runId}, ${stepKey}, ${JSON.stringify(columns)}::jsonb)`,
  )
}

/** The statement that makes a filled version current; without `rows` they are counted. */
export const publication = (version: DatasetVersionId, rows?: number): Statement =>
  rows === undefined
    ? { text: `select app.publish_version($1, (select count(*) from ${tableOf(version)}))`, params: [version] }
    : { text: `select app.publish_version($1, $2)`, params: [version, rows] }

/** Pages of 8 KB that a version's table has: a range of pages is a bounded range of rows. */
export const pagesOf = async (db: TenantDb, version: DatasetVersionId): Promise<number> =>
  Number(await db.call(sql`app.version_pages(${version})`))

/** The statements between run as weir_query, which can read and fill dataset tables and do nothing else. */
export const asQueryRole = (statements: readonly Statement[], timeoutMs: number): Statement[] => [
  { text: `select set_config('statement_timeout', $1, true), set_config('role', 'weir_query', true)`, params: [String(timeoutMs)] },
  ...statements,
  { text: `select set_config('role', 'none', true), set_config('statement_timeout', '0', true)` },
]
