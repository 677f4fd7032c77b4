import {
  addWebhookSecret,
  findPipelineWebhook,
  findWebhook,
  receiveEvent as receiveEventRow,
  type PipelineWebhook,
  type WebhookSecret,
} from '#src/db/events.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { Id, PipelineId, RunId, TenantId } from '#src/domain/id.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { quotaProblem } from '#src/domain/quota.ts'
import { eventProblem, isSignedBy, newWebhookSecret, type SignedEvent } from '#src/domain/webhook.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context, type Services } from './context.ts'

type TriggerId = Id<'trigger'>

/** Ties a sealed secret to the webhook that it is good for. */
const belongsTo = (id: TriggerId) => `webhook ${id}`

/** A sender who has shown a good signature, and what it sent. */
export type KnownSender = {
  tenantId: TenantId
  trigger: TriggerId
  event: SignedEvent
  version: number
  parameters: Parameters<typeof resolveParameters>[0]['parameters']
}

/** Who sent the event, by its signature; the reason for the log when it is not a good one. */
export async function identifySender(
  services: Services,
  trigger: TriggerId,
  event: SignedEvent,
): Promise<KnownSender | { reason: string }> {
  const reason = eventProblem(event, services.now())
  if (reason) return { reason }
  const webhook = await findWebhook(services.database, trigger)
  if (!webhook || webhook.secrets.length === 0) return { reason: 'unknown' }
  const { tenantId, version, parameters } = webhook
  const db = services.database.tenant(tenantId, 'event')
  const secrets: string[] = []
  for (const { sealed } of webhook.secrets)
    secrets.push(await services.secrets.unseal(db, belongsTo(trigger), sealed))
  if (!(await isSignedBy(secrets, event))) return { reason: 'signature' }
  return { tenantId, trigger, event, version, parameters }
}

/** Starts the pipeline with what the event says; one that comes again, as senders do, gets the run that it started before. */
export async function receiveEvent(
  services: Services,
  sender: KnownSender,
  traceparent: string,
): Promise<{ runId: RunId; repeated: boolean; send: () => Promise<void> }> {
  const { tenantId, trigger, event } = sender
  const resolved = resolveParameters(sender, objectIn(event.body))
  if (!resolved.ok)
    throw new Problem('invalid', 'The event does not fit the parameters of the pipeline.', {
      fields: resolved.fields.map(({ path, ...rest }) => ({
        ...rest,
        path: path.replace(/^parameters\./, ''),
      })),
    })
  const received = await receiveEventRow(
    services.database.tenant(tenantId, 'event'),
    { trigger, webhookId: event.id, bodyHash: await sha256(event.body) },
    { parameters: resolved.parameters, checkedFor: sender.version, traceparent },
  )
  if ('conflict' in received) throw new Problem('conflict', 'This webhook-id was used for another event.')
  if ('refused' in received && received.quota) throw quotaProblem(received.quota)
  if ('refused' in received)
    throw new Problem('unavailable', 'The pipeline was changed at this moment; send the event again.', {
      retryAfterMs: 1_000,
    })
  const { runId } = received
  const wakes = 'wakes' in received ? received.wakes : []
  return {
    runId,
    repeated: 'repeated' in received,
    send: () => services.send(tenantId, wakeMessages(tenantId, runId, wakes)),
  }
}

function objectIn(body: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body === '' ? '{}' : body)
  } catch (cause) {
    throw new Problem('malformed', 'The body is not JSON.', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Problem('invalid', 'The body must be an object that names parameters.')
  return { ...value }
}

export type WebhookView = { id: TriggerId; url: string; secrets: { createdAt: string }[] }

const view = (ctx: Context, id: TriggerId, secrets: readonly WebhookSecret[]): WebhookView => ({
  id,
  url: `${ctx.services.env.PUBLIC_URL}/v1/events/${id}`,
  secrets: secrets.map(({ createdAt }) => ({ createdAt })),
})

async function webhookOf(ctx: Context, pipelineId: PipelineId): Promise<PipelineWebhook> {
  const found = await findPipelineWebhook(ctx.tenantDb, pipelineId)
  if (!found) throw notFound('webhook')
  return found
}

export async function readWebhook(ctx: Context, pipelineId: PipelineId): Promise<WebhookView> {
  allow(ctx, 'pipelines:read', { kind: 'pipeline', id: pipelineId })
  const { id, secrets } = await webhookOf(ctx, pipelineId)
  return view(ctx, id, secrets)
}

/** Makes a secret, which nobody is shown again. The one before stays good until there is another. */
export async function rotateWebhook(
  ctx: Context,
  pipelineId: PipelineId,
): Promise<WebhookView & { secret: string }> {
  allow(ctx, 'pipelines:write', { kind: 'pipeline', id: pipelineId })
  const { id } = await webhookOf(ctx, pipelineId)
  const secret = newWebhookSecret()
  const sealed = await ctx.services.secrets.seal(ctx.tenantDb, belongsTo(id), secret)
  const createdAt = ctx.now().toISOString()
  const secrets = await addWebhookSecret(ctx.tenantDb, id, { sealed, createdAt })
  if (!secrets) throw notFound('webhook')
  return { ...view(ctx, id, secrets), secret }
}
