import { getDataset, listDatasets, previewRows, type Dataset, type VersionSummary } from '#src/db/datasets.ts'
import type { ColumnSpec } from '#src/domain/column.ts'
import type { DatasetId, ProjectId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'

export async function readDatasets(
  ctx: Context,
  page: PageRequest,
  project?: ProjectId,
): Promise<Page<Dataset>> {
  allow(ctx, 'datasets:read')
  const before = page.after?.[0] as DatasetId | undefined
  return toPage(await listDatasets(ctx.tenantDb, before, page.limit, project), page.limit, (dataset) => [
    dataset.id,
  ])
}

export async function readDataset(
  ctx: Context,
  id: DatasetId,
): Promise<Dataset & { versions: VersionSummary[] }> {
  allow(ctx, 'datasets:read', { kind: 'dataset', id })
  return getDataset(ctx.tenantDb, id)
}

export async function previewDataset(
  ctx: Context,
  id: DatasetId,
  limit: number,
): Promise<{ columns: ColumnSpec[]; rows: (string | null)[][] }> {
  allow(ctx, 'datasets:read', { kind: 'dataset', id })
  const { versionId, columns, name } = await getDataset(ctx.tenantDb, id)
  if (!versionId || !columns) throw new Problem('conflict', `Dataset "${name}" has no finished version yet.`)
  return { columns, rows: await previewRows(ctx.tenantDb, { id, name }, versionId, columns, limit) }
}
