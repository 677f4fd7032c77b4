import type { Context } from 'hono'
import * as z from 'zod'
import { identifySender, readWebhook, receiveEvent, rotateWebhook } from '#src/actions/events.ts'
import { ids } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRoutes, type ApiEnv } from '#src/http/api.ts'
import { readText } from '#src/http/body.ts'
import { defer } from '#src/http/defer.ts'
import { refuseUnsafeJson } from '#src/http/json-shape.ts'
import { addressBucket, countLeniently, enforce } from '#src/http/limits.ts'
import { created } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const mostBytes = 256 * 1024

const oneTrigger = z.object({ triggerId: ids.trigger })
const onePipeline = z.object({ id: ids.pipeline })

/** Who shows no good signature falls under the limit of its address, as with any other credential. */
async function refuse(c: Context<ApiEnv>, reason: string): Promise<never> {
  c.get('log').reason = reason
  const { limits } = c.get('gate').services
  const counted = await countLeniently(c, await addressBucket(c, limits.address))
  if (counted) enforce(c, counted)
  throw new Problem('unauthenticated', 'The event is not signed as this webhook wants it, or not now.')
}

/** Public: what counts is the signature. */
export const eventRoutes = newRoutes().post('/:triggerId', valid('param', oneTrigger), async (c) => {
  const { services } = c.get('gate')
  const { triggerId } = c.req.valid('param')
  const body = await readText(c.req)
  if (new TextEncoder().encode(body).length > mostBytes)
    throw new Problem('too_large', 'An event may have at most 256 KB.')
  const sender = await identifySender(services, triggerId, {
    id: c.req.header('webhook-id') ?? '',
    timestamp: c.req.header('webhook-timestamp') ?? '',
    signature: c.req.header('webhook-signature') ?? '',
    body,
  })
  if ('reason' in sender) return refuse(c, sender.reason)
  c.get('log').tenantId = sender.tenantId
  const counted = await countLeniently(c, {
    policy: services.limits.apiKey,
    owner: `${sender.tenantId}:event:${triggerId}`,
  })
  if (counted) enforce(c, counted)
  refuseUnsafeJson(body)
  const { runId, repeated, send } = await receiveEvent(services, sender, c.get('trace').traceparent)
  defer(c, send())
  return c.json({ runId }, 202, repeated ? { 'Idempotency-Replayed': 'true' } : {})
})

export const webhookRoutes = newRoutes()
  .get('/:id/webhook', valid('param', onePipeline), async (c) =>
    c.json(await readWebhook(c.var.ctx, c.req.valid('param').id), 200),
  )
  .post('/:id/webhook', valid('param', onePipeline), async (c) => {
    const { id } = c.req.valid('param')
    return created(c, `/v1/pipelines/${id}/webhook`, await rotateWebhook(c.var.ctx, id))
  })
