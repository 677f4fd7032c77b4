import * as z from 'zod'
import { markRun, markStep, rerunRun, setPriority } from '#src/actions/control.ts'
import { readEvents, readLogs } from '#src/actions/logs.ts'
import {
  cancelRun,
  readItems,
  readQuality,
  readRun,
  readRuns,
  readStep,
  startRun,
} from '#src/actions/runs.ts'
import type { Item, QualityResult, Run, Step } from '#src/db/runs.ts'
import { ids } from '#src/domain/id.ts'
import { mostItems } from '#src/domain/item-place.ts'
import { logLevels } from '#src/domain/log.ts'
import { runStates, stepStates } from '#src/domain/run-state.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOfBody } from '#src/http/etag.ts'
import { listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { eventToJson, lineToJson, placeOf, streamRunEvents } from '#src/http/run-stream.ts'
import { valid } from '#src/http/valid.ts'
import { reason } from './reason.ts'

/** Of two runs that wait for a place the higher one goes first. */
const priority = z.number().int().min(-100).max(100)
const newRun = z.strictObject({
  pipelineId: ids.pipeline,
  parameters: z.record(z.string(), z.unknown()).optional(),
  priority: priority.optional(),
})
const oneRun = z.object({ id: ids.run })
/** A map inside another one is named with that one, as outer.inner. */
const stepKey = z.string().min(1).max(130)
const oneStep = z.object({ id: ids.run, step: stepKey })
const change = z.strictObject({ priority, reason: reason.optional() })
const rerun = z.strictObject({
  from: z.string().min(1).max(100),
  version: z.enum(['same', 'current']).default('same'),
  reason: reason.optional(),
})
const mark = z.strictObject({ as: z.enum(['succeeded', 'failed']), reason })
/** For those who cannot send Last-Event-ID. */
const eventsQuery = listQuery({ after: z.string().max(20).optional() })
const number = z.coerce.number().int().min(0).max(999_999_999)
const logFilters = {
  step: stepKey.optional(),
  /** And what is graver. */
  level: z.enum(logLevels).optional(),
  search: z.string().min(1).max(200).optional(),
  after: number.optional(),
}
const itemFilters = {
  state: z.enum(stepStates).optional(),
  /** Of a map inside another one: the item of that. */
  outer: z.coerce.number().int().min(1).max(mostItems).optional(),
}
const filters = {
  pipelineId: ids.pipeline.optional(),
  state: z.enum(runStates).optional(),
  backfillId: ids.backfill.optional(),
}

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
  priority: run.priority,
  ...(run.rerunOf ? { rerunOf: run.rerunOf } : {}),
  ...(run.parentRunId ? { parentRunId: run.parentRunId } : {}),
  ...(run.backfillId ? { backfillId: run.backfillId } : {}),
  ...(run.scheduledFor ? { scheduledFor: run.scheduledFor.toISOString() } : {}),
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
  ...(step.copiedFrom ? { copiedFrom: step.copiedFrom } : {}),
  ...(step.waitsFor ? { waitsFor: step.waitsFor } : {}),
  ...(step.items ? { items: step.items } : {}),
  ...times(step),
})

const itemToJson = ({ outer, item, state, attempt, error, waitsFor, items, ...when }: Item) => ({
  ...(outer === undefined ? {} : { outer }),
  item,
  state,
  attempt,
  ...(error ? { error } : {}),
  ...(waitsFor ? { waitsFor } : {}),
  ...(items ? { items } : {}),
  ...times(when),
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
  .get('/:id/events', valid('param', oneRun), valid('query', eventsQuery), async (c) => {
    const { id } = c.req.valid('param')
    const { after, limit, cursor } = c.req.valid('query')
    c.header('Vary', 'Accept', { append: true })
    // In pages for who says so; a stream for everybody else, as browsers ask for it.
    if (!c.req.header('accept')?.startsWith('application/json')) return streamRunEvents(c, id, after)
    const request = await pageRequest(c, { limit, cursor })
    return page(c, await readEvents(c.var.ctx, id, placeOf(after).event, request), eventToJson)
  })
  .get('/:id/logs', valid('param', oneRun), valid('query', listQuery(logFilters)), async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query')
    const request = await pageRequest(c, { limit, cursor })
    return page(c, await readLogs(c.var.ctx, c.req.valid('param').id, filter, request), lineToJson)
  })
  .get('/:id/steps/:step', valid('param', oneStep), async (c) => {
    const { id, step } = c.req.valid('param')
    const { output, ...found } = await readStep(c.var.ctx, id, step)
    return c.json({ ...stepToJson(found), ...(output === null ? {} : { output }) }, 200)
  })
  .get(
    '/:id/steps/:step/items',
    valid('param', oneStep),
    valid('query', listQuery(itemFilters)),
    async (c) => {
      const { id, step } = c.req.valid('param')
      const { limit, cursor, ...filter } = c.req.valid('query')
      return page(
        c,
        await readItems(c.var.ctx, id, step, filter, await pageRequest(c, { limit, cursor })),
        itemToJson,
      )
    },
  )
  .post('/:id/cancel', valid('param', oneRun), async (c) =>
    c.json(await cancelRun(c.var.ctx, c.req.valid('param').id), 202),
  )
  .patch('/:id', valid('param', oneRun), valid('json', change), async (c) =>
    c.json(await setPriority(c.var.ctx, c.req.valid('param').id, c.req.valid('json')), 200),
  )
  .post('/:id/rerun', valid('param', oneRun), valid('json', rerun), async (c) => {
    const run = await rerunRun(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))
    return c.json(run, 202, { Location: `/v1/runs/${run.id}` })
  })
  .post('/:id/mark', valid('param', oneRun), valid('json', mark), async (c) =>
    c.json(await markRun(c.var.ctx, c.req.valid('param').id, c.req.valid('json')), 200),
  )
  .post('/:id/steps/:step/mark', valid('param', oneStep), valid('json', mark), async (c) => {
    const { id, step } = c.req.valid('param')
    return c.json(await markStep(c.var.ctx, id, step, c.req.valid('json')), 200)
  })
