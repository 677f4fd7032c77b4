import * as z from 'zod'
import { moveBackfillBy, readBackfill, readBackfills, startBackfill } from '#src/actions/backfills.ts'
import type { Backfill } from '#src/db/backfills.ts'
import { isDate, partitions, type Partition } from '#src/domain/backfill.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { etagOfBody } from '#src/http/etag.ts'
import { valid } from '#src/http/valid.ts'

const moment = z
  .string()
  .refine(
    (text) =>
      !Number.isNaN(Date.parse(text)) &&
      (isDate(text) || z.iso.datetime({ offset: true }).safeParse(text).success),
    'must be a date such as 2026-01-31, or a time such as 2026-01-31T06:15:00Z',
  )
const newBackfill = z.strictObject({
  from: moment,
  to: moment,
  by: z.enum(Object.keys(partitions) as [Partition, ...Partition[]]).optional(),
  cron: z.string().min(1).max(100).optional(),
  timezone: z.string().min(1).max(100).optional(),
  order: z.enum(['oldest', 'newest']).default('oldest'),
  concurrency: z.number().int().min(1).max(100).default(1),
  skipSucceeded: z.boolean().default(false),
  parameters: z.record(z.string(), z.unknown()).optional(),
})
const onePipeline = z.object({ id: ids.pipeline })
const oneBackfill = z.object({ id: ids.backfill })

const toJson = (backfill: Backfill) => ({
  id: backfill.id,
  pipelineId: backfill.pipelineId,
  version: backfill.version,
  state: backfill.state,
  ...backfill.asked,
  concurrency: backfill.concurrency,
  skipSucceeded: backfill.skipSucceeded,
  parameters: backfill.parameters,
  runs: {
    total: backfill.total,
    waiting: backfill.total - backfill.taken,
    running: backfill.running,
    succeeded: backfill.succeeded,
    failed: backfill.failed,
    cancelled: backfill.cancelled,
    skipped: backfill.skipped,
  },
  createdBy: backfill.createdBy,
  createdAt: backfill.createdAt.toISOString(),
  ...(backfill.finishedAt ? { finishedAt: backfill.finishedAt.toISOString() } : {}),
})

export const pipelineBackfillRoutes = newRoutes()
  .post('/:id/backfills', valid('param', onePipeline), valid('json', newBackfill), async (c) => {
    const made = await startBackfill(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))
    return created(c, `/v1/backfills/${made.id}`, toJson(made))
  })
  .get('/:id/backfills', valid('param', onePipeline), valid('query', listQuery({})), async (c) => {
    const asked = await pageRequest(c, c.req.valid('query'))
    return page(c, await readBackfills(c.var.ctx, c.req.valid('param').id, asked), toJson)
  })

export const backfillRoutes = newRoutes()
  .get('/', valid('query', listQuery({ pipelineId: ids.pipeline.optional() })), async (c) => {
    const { pipelineId, ...query } = c.req.valid('query')
    return page(c, await readBackfills(c.var.ctx, pipelineId, await pageRequest(c, query)), toJson)
  })
  .get('/:id', valid('param', oneBackfill), async (c) => {
    const body = toJson(await readBackfill(c.var.ctx, c.req.valid('param').id))
    return single(c, body, await etagOfBody(body))
  })
  .post('/:id/pause', valid('param', oneBackfill), async (c) =>
    c.json(toJson(await moveBackfillBy(c.var.ctx, c.req.valid('param').id, 'pause')), 200),
  )
  .post('/:id/resume', valid('param', oneBackfill), async (c) =>
    c.json(toJson(await moveBackfillBy(c.var.ctx, c.req.valid('param').id, 'resume')), 200),
  )
  .post('/:id/cancel', valid('param', oneBackfill), async (c) =>
    c.json(toJson(await moveBackfillBy(c.var.ctx, c.req.valid('param').id, 'cancel')), 202),
  )
