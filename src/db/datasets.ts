import { and, desc, eq, lt, sql } from 'drizzle-orm'
import type { ColumnSpec } from '#src/domain/column.ts'
import { newId, type DatasetId, type DatasetVersionId, type ProjectId, type RunId } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import { quoteIdent } from './compile/quote.ts'
import { statement, type Statement } from './statement.ts'
import { noteStatement } from './audit.ts'
import type { Database, TenantDb } from './database.ts'
import { datasets, datasetVersions } from './schema.ts'

export type DatasetVersion = { id: DatasetVersionId; name: string; columns: ColumnSpec[]; rows: number }

/** The table of a version. An id holds nothing that needs escaping; see newId. */
export const tableOf = (version: DatasetVersionId): string => `data."${version}"`

/**
 * What readers of these datasets see inside a run: the newest version that the run itself made, else the one that a step
 * made whose outcome it has taken over from another run, else the current one.
 */
export async function versionsFor(
  db: TenantDb,
  runId: RunId,
  names: readonly string[],
): Promise<Map<string, DatasetVersion>> {
  const [result] = await db.statements([
    statement(sql`
      select distinct on (d.name) d.name, v.id, v.columns, v.rows
      from datasets d
      join dataset_versions v on v.tenant_id = d.tenant_id and v.dataset_id = d.id and v.state = 'ready'
      left join steps s on s.tenant_id = v.tenant_id and s.run_id = ${runId} and s.key = v.step_key and s.map_index = 0
        and s.copied_from = v.run_id
      where d.tenant_id = ${db.tenantId} and d.name = any(${sql.param([...names])}::text[])
        and (v.run_id = ${runId} or s.key is not null or v.id = d.current_version_id)
      order by d.name, (v.run_id = ${runId}) desc, (s.key is not null) desc, v.ready_at desc`),
  ])
  const rows = (result?.rows ?? []) as {
    name: string
    id: DatasetVersionId
    columns: ColumnSpec[]
    rows: string
  }[]
  return new Map(
    rows.map((row) => [
      row.name,
      { id: row.id, name: row.name, columns: row.columns, rows: Number(row.rows) },
    ]),
  )
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

/** The statements that fill a new version with what its dataset holds at that moment, for more to be appended; see app.carry_over. */
export const carryOver = (
  version: DatasetVersionId,
  columns: readonly string[],
  timeoutMs: number,
): Statement[] => [
  { text: `select set_config('statement_timeout', $1, true)`, params: [String(timeoutMs)] },
  statement(sql`select app.carry_over(${version}, ${sql.param([...columns])}::text[])`),
]

/** The statement that makes a filled version current; without `rows` they are counted. */
export const publication = (version: DatasetVersionId, rows?: number): Statement =>
  rows === undefined
    ? {
        text: `select app.publish_version($1, (select count(*) from ${tableOf(version)}))`,
        params: [version],
      }
    : { text: `select app.publish_version($1, $2)`, params: [version, rows] }

/** Pages of 8 KB that a version's table has: a range of pages is a bounded range of rows. */
export const pagesOf = async (db: TenantDb, version: DatasetVersionId): Promise<number> =>
  Number(await db.call(sql`app.version_pages(${version})`))

/** The statements between run as weir_query, which can read and fill dataset tables and do nothing else. */
export const asQueryRole = (statements: readonly Statement[], timeoutMs: number): Statement[] => [
  {
    text: `select set_config('statement_timeout', $1, true), set_config('role', 'weir_query', true)`,
    params: [String(timeoutMs)],
  },
  ...statements,
  { text: `select set_config('role', 'none', true), set_config('statement_timeout', '0', true)` },
]

/** Drops tables that nobody can read any more, of every tenant; see app.drop_old_versions. */
export async function dropOldVersions(database: Database, limit: number): Promise<void> {
  await database.open(database.sql.execute(sql`select app.drop_old_versions(${limit})`))
}

export type Dataset = {
  id: DatasetId
  name: string
  createdAt: Date
  updatedAt: Date
  versionId: DatasetVersionId | null
  rows: number | null
  columns: ColumnSpec[] | null
}

const datasetColumns = {
  id: datasets.id,
  name: datasets.name,
  createdAt: datasets.createdAt,
  updatedAt: datasets.updatedAt,
  versionId: datasets.currentVersionId,
  rows: datasetVersions.rows,
  columns: datasetVersions.columns,
}

const selectDatasets = (db: TenantDb) =>
  db.sql
    .select(datasetColumns)
    .from(datasets)
    .leftJoin(
      datasetVersions,
      and(eq(datasetVersions.tenantId, datasets.tenantId), eq(datasetVersions.id, datasets.currentVersionId)),
    )

/** Newest first; one row more than `limit` says that there are further ones. */
export async function listDatasets(
  db: TenantDb,
  before: DatasetId | undefined,
  limit: number,
  projectId?: ProjectId,
): Promise<Dataset[]> {
  const [rows] = await db.run(
    selectDatasets(db)
      .where(
        and(
          eq(datasets.tenantId, db.tenantId),
          before ? lt(datasets.id, before) : undefined,
          projectId ? eq(datasets.projectId, projectId) : undefined,
        ),
      )
      .orderBy(desc(datasets.id))
      .limit(limit + 1),
  )
  return rows
}

export type VersionSummary = {
  id: DatasetVersionId
  state: string
  rows: number
  runId: RunId
  stepKey: string
  createdAt: Date
  readyAt: Date | null
}

const keptInSight = 20

export async function getDataset(
  db: TenantDb,
  id: DatasetId,
): Promise<Dataset & { versions: VersionSummary[] }> {
  const [[found], versions] = await db.run(
    selectDatasets(db).where(and(eq(datasets.tenantId, db.tenantId), eq(datasets.id, id))),
    db.sql
      .select({
        id: datasetVersions.id,
        state: datasetVersions.state,
        rows: datasetVersions.rows,
        runId: datasetVersions.runId,
        stepKey: datasetVersions.stepKey,
        createdAt: datasetVersions.createdAt,
        readyAt: datasetVersions.readyAt,
      })
      .from(datasetVersions)
      .where(and(eq(datasetVersions.tenantId, db.tenantId), eq(datasetVersions.datasetId, id)))
      .orderBy(desc(datasetVersions.id))
      .limit(keptInSight),
  )
  if (!found) throw notFound('dataset')
  return { ...found, versions }
}

/** The first rows of a version as text, each value cut to what a table on a screen can show; that they were shown is noted. */
export async function previewRows(
  db: TenantDb,
  dataset: { id: DatasetId; name: string },
  version: DatasetVersionId,
  columns: readonly ColumnSpec[],
  limit: number,
): Promise<(string | null)[][]> {
  const values = columns.map((column) => `left(${quoteIdent(column.name)}::text, 500)`).join(', ')
  const { id, name } = dataset
  const [, result] = await db.statements([
    ...asQueryRole(
      [{ text: `select array[${values}] as row from ${tableOf(version)} limit $1`, params: [limit] }],
      10_000,
    ),
    noteStatement(
      { action: 'dataset.preview', kind: 'dataset', id, details: { name, versionId: version } },
      sql`(select count(*) from (select from ${sql.raw(tableOf(version))} limit ${limit}) shown)`,
    ),
  ])
  return (result?.rows ?? []).map((row) => row['row'] as (string | null)[])
}
