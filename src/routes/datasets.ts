import * as z from 'zod'
import { previewDataset, readDataset, readDatasets } from '#src/actions/datasets.ts'
import type { Dataset, VersionSummary } from '#src/db/datasets.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOfBody } from '#src/http/etag.ts'
import { listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const oneDataset = z.object({ id: ids.dataset })
const previewQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(200).default(50) })

const toJson = (dataset: Dataset) => ({
  id: dataset.id,
  name: dataset.name,
  createdAt: dataset.createdAt.toISOString(),
  updatedAt: dataset.updatedAt.toISOString(),
  ...(dataset.versionId
    ? { versionId: dataset.versionId, rows: dataset.rows ?? 0, columns: dataset.columns ?? [] }
    : {}),
})

const versionToJson = (version: VersionSummary) => ({
  id: version.id,
  state: version.state,
  rows: version.rows,
  runId: version.runId,
  step: version.stepKey,
  createdAt: version.createdAt.toISOString(),
  ...(version.readyAt ? { readyAt: version.readyAt.toISOString() } : {}),
})

export const datasetRoutes = newRoutes()
  .get('/', valid('query', listQuery({ project: ids.project.optional() })), async (c) => {
    const { project, ...paging } = c.req.valid('query')
    return page(c, await readDatasets(c.var.ctx, await pageRequest(c, paging), project), toJson)
  })
  .get('/:id', valid('param', oneDataset), async (c) => {
    const { versions, ...dataset } = await readDataset(c.var.ctx, c.req.valid('param').id)
    const body = { ...toJson(dataset), versions: versions.map(versionToJson) }
    return single(c, body, await etagOfBody(body))
  })
  .get('/:id/preview', valid('param', oneDataset), valid('query', previewQuery), async (c) =>
    c.json(await previewDataset(c.var.ctx, c.req.valid('param').id, c.req.valid('query').limit), 200),
  )
