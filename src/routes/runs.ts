import * as z from 'zod'
import { cancelRun, readQuality, readRun, readRuns, startRun } from '#src/actions/runs.ts'
import type { QualityResult, Run, Step } from '#src/db/runs.ts'
import { ids } from '#src/domain/id.ts'
import { runStates } from '#src/domain/run-state.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOfBody } from '#src/http/etag.ts'
import { listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { streamRunEvents } from '#src/http/run-stream.ts'
import { valid } from '#src/http/valid.ts'

const newRun = z.strictObject({
  pipelineId: ids.pipeline,
  parameters: z.record(z.string(), z.unknown()).optional(),
})
const oneRun = z.object({ id: ids.run })
/** For those who cannot send Last-Event-ID. */
const eventsQuery = z.strictObject({ after: z.string().optional() })
const filters = { pipelineId: ids.pipeline.optional(), state: z.enum(runStates).optional() }

const times = (of: { startedAt: Date | null; finishedAt: Date | null }) => ({
  ...(of.startedAt ? { startedAt: of.startedAt.toISOString() } : {}),
  ...(of.finishedAt ? { finishedAt: of.finishedAt.toISOString() } : {}),
  ...(of.startedAt && of.finishedAt ? { durationMs: of.finishedAt.getTime() - of.startedAt.getTime() } : {}),
})

const toJson = (run: Run) => ({
  id: run.id,
  pipelineId: run.pipelineId,
  pipelineName: run.pipelineName,
  version: run.version,
  state: run.state,
  trigger: run.trigger,
  parameters: run.parameters,
  startedBy: run.startedBy,
  createdAt: run.createdAt.toISOString(),
  ...times(run),
})

const stepToJson = (step: Step) => ({
  key: step.key,
  kind: step.kind,
  state: step.state,
  attempt: step.attempt,
  rowsIn: step.rowsIn,
  rowsOut: step.rowsOut,
  rowsRejected: step.rowsRejected,
  ...(step.error ? { error: step.error } : {}),
  ...times(step),
})

const qualityToJson = ({ column, ...result }: QualityResult) => ({ ...result, ...(column ? { column } : {}) })

export const runRoutes = newRoutes()
  .post('/', valid('json', newRun), async (c) => {
    const run = await startRun(c.var.ctx, c.req.valid('json'))
    return c.json(run, 202, { Location: `/v1/runs/${run.id}` })
  })
  .get('/', valid('query', listQuery(filters)), async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query')
    return page(c, await readRuns(c.var.ctx, filter, await pageRequest(c, { limit, cursor })), toJson)
  })
  .get('/:id', valid('param', oneRun), async (c) => {
    const { steps, ...run } = await readRun(c.var.ctx, c.req.valid('param').id)
    const body = { ...toJson(run), steps: steps.map(stepToJson) }
    return single(c, body, await etagOfBody(body))
  })
  .get('/:id/quality', valid('param', oneRun), async (c) =>
    c.json({ items: (await readQuality(c.var.ctx, c.req.valid('param').id)).map(qualityToJson) }, 200),
  )
  .get('/:id/events', valid('param', oneRun), valid('query', eventsQuery), (c) =>
    streamRunEvents(c, c.req.valid('param').id, c.req.valid('query').after),
  )
  .post('/:id/cancel', valid('param', oneRun), async (c) =>
    c.json(await cancelRun(c.var.ctx, c.req.valid('param').id), 202),
  )
