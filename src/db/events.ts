import { sql } from 'drizzle-orm'
import type { Id, PipelineId, RunId, TenantId } from '#src/domain/id.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { Database, TenantDb } from './database.ts'
import type { Wake } from './run-moves.ts'

/** Sealed; the newest first. */
export type WebhookSecret = { sealed: string; createdAt: string }

export type Webhook = {
  tenantId: TenantId
  pipelineId: PipelineId
  version: number
  parameters: Definition['parameters']
  secrets: WebhookSecret[]
}

/** Whose webhook this is, of whatever tenant: asked before anybody has shown a signature. */
export async function findWebhook(database: Database, trigger: Id<'trigger'>): Promise<Webhook | undefined> {
  const [{ rows }] = await database.open(
    database.sql.execute(sql`
      select tenant_id as "tenantId", pipeline_id as "pipelineId", version, parameters, secrets from app.webhook(${trigger})`),
  )
  return rows[0] as Webhook | undefined
}

export type Received =
  | { runId: RunId; wakes: Wake[] }
  | { runId: RunId; repeated: true }
  | { conflict: true }
  | { refused: true; quota?: QuotaStanding }

/** Takes an event whose signature is good, once; see app.receive_event. */
export const receiveEvent = (
  db: TenantDb,
  event: { trigger: Id<'trigger'>; webhookId: string; bodyHash: string },
  options: { parameters: Record<string, unknown>; checkedFor: number; traceparent: string },
): Promise<Received> =>
  db.call(
    sql`app.receive_event(${event.trigger}, ${event.webhookId}, ${event.bodyHash}, ${JSON.stringify(options)}::jsonb)`,
  )

export async function forgetReceipts(database: Database): Promise<void> {
  await database.open(database.sql.execute(sql`select app.forget_receipts()`))
}

export type PipelineWebhook = { id: Id<'trigger'>; secrets: WebhookSecret[] }

/** The webhook of a pipeline; undefined when there is no such pipeline, or its version has none. */
export async function findPipelineWebhook(
  db: TenantDb,
  pipelineId: PipelineId,
): Promise<PipelineWebhook | undefined> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      select id, secrets from triggers
      where tenant_id = ${db.tenantId} and pipeline_id = ${pipelineId} and kind = 'webhook'`),
  )
  return rows[0] as PipelineWebhook | undefined
}

/** Puts a secret before the one that was newest, which stays good; the one before that goes. */
export async function addWebhookSecret(
  db: TenantDb,
  id: Id<'trigger'>,
  secret: WebhookSecret,
): Promise<WebhookSecret[] | undefined> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      update triggers set secrets = jsonb_build_array(${JSON.stringify(secret)}::jsonb) || jsonb_path_query_array(secrets, '$[0]')
      where tenant_id = ${db.tenantId} and id = ${id} and kind = 'webhook' returning secrets`),
  )
  return rows[0]?.['secrets'] as WebhookSecret[] | undefined
}
