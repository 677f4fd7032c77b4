import * as z from 'zod'
import {
  dismissDeadLetter,
  readDeadLetter,
  readDeadLetters,
  replayDeadLetter,
  replayDeadLetters,
} from '#src/actions/dead-letters.ts'
import type { DeadLetter, LetterEvent } from '#src/db/dead-letters.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOfBody } from '#src/http/etag.ts'
import { listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'
import { reason } from './reason.ts'

const since = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const filters = {
  pipelineId: ids.pipeline.optional(),
  code: z.string().min(1).max(100).optional(),
  since: since.optional(),
}
const states = z.enum(['open', 'replayed', 'dismissed'])
const oneLetter = z.object({ id: ids.deadLetter })
const why = z.strictObject({ reason: reason.optional() })
const several = z.strictObject({
  filter: z.strictObject(filters).default({}),
  limit: z.number().int().min(1).max(1_000).optional(),
  reason: reason.optional(),
})

const toJson = (letter: DeadLetter) => ({
  id: letter.id,
  runId: letter.runId,
  pipelineId: letter.pipelineId,
  pipelineName: letter.pipelineName,
  stepKey: letter.stepKey,
  error: { code: letter.code, message: letter.message },
  attempts: letter.attempts,
  state: letter.state,
  createdAt: letter.createdAt.toISOString(),
  ...(letter.replayRunId ? { replayRunId: letter.replayRunId } : {}),
  ...(letter.resolvedAt ? { resolvedAt: letter.resolvedAt.toISOString() } : {}),
  ...(letter.resolvedBy ? { resolvedBy: letter.resolvedBy } : {}),
  ...(letter.reason ? { reason: letter.reason } : {}),
})

const eventToJson = ({ at, mapIndex, data, ...event }: LetterEvent) => ({
  ...event,
  at: at.toISOString(),
  ...(mapIndex === null ? {} : { mapIndex }),
  ...(data ? { data } : {}),
})

export const deadLetterRoutes = newRoutes()
  .get('/', valid('query', listQuery({ ...filters, state: states.optional() })), async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query')
    return page(c, await readDeadLetters(c.var.ctx, filter, await pageRequest(c, { limit, cursor })), toJson)
  })
  .get('/:id', valid('param', oneLetter), async (c) => {
    const { events, items, inputs, ...letter } = await readDeadLetter(c.var.ctx, c.req.valid('param').id)
    const body = { ...toJson(letter), events: events.map(eventToJson), items, inputs }
    return single(c, body, await etagOfBody(body))
  })
  .post('/replay', valid('json', several), async (c) => {
    const { filter, ...options } = c.req.valid('json')
    const { replayed, refused } = await replayDeadLetters(c.var.ctx, filter, options)
    const runs = replayed.map(({ runId, of }) => ({ id: runId, rerunOf: of }))
    return c.json({ replayed: runs, refused }, 202)
  })
  .post('/:id/replay', valid('param', oneLetter), valid('json', why), async (c) => {
    const { runId } = await replayDeadLetter(c.var.ctx, c.req.valid('param').id, c.req.valid('json').reason)
    return c.json({ id: runId, state: 'queued' as const }, 202, { Location: `/v1/runs/${runId}` })
  })
  .post('/:id/dismiss', valid('param', oneLetter), valid('json', why), async (c) => {
    await dismissDeadLetter(c.var.ctx, c.req.valid('param').id, c.req.valid('json').reason)
    return c.body(null, 204)
  })
