import * as z from 'zod'
import { sendNotice } from '#src/connectors/channels.ts'
import { findChannelNamed, noteFailure } from '#src/db/channels.ts'
import type { TenantDb } from '#src/db/database.ts'
import { leaveNotice, removeFromOutbox, takeNotice } from '#src/db/outbox.ts'
import { SealBroken } from '#src/db/secrets.ts'
import type { Channel, Notice } from '#src/domain/channel.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { EngineServices } from './services.ts'

/** What stands in the outbox, from a step that notifies or from an alert. */
const noticePayload = z.object({
  channel: z.string(),
  subject: z.string(),
  alertId: z.string().optional(),
  body: z.record(z.string(), z.unknown()),
})

/** A notice that could not be sent for so long is not sent any more. */
const longestMs = 24 * 3_600_000

/** Longer than any channel is waited for. */
const tellingMs = 60_000

/**
 * Tells a channel what waits in the outbox, and then forgets it: once, however often the message comes. Only what was told
 * by a Worker that died before it could forget it is told again, under the same id; what cannot arrive is noted on the
 * channel.
 */
export async function deliverNotice(
  services: EngineServices,
  { tenantId, outboxId }: { tenantId: TenantId; outboxId: number },
): Promise<void> {
  const db = services.database.tenant(tenantId, 'job')
  const found = await takeNotice(db, outboxId, tellingMs)
  if (!found) return
  const { channel: name, subject, alertId, body } = noticePayload.parse(found.payload)
  const channel = await findChannelNamed(db, name)
  if (channel && !channel.disabledAt) {
    const notice: Notice = {
      id: `msg_${outboxId}_${found.createdAt.getTime()}`,
      type: alertId === undefined ? 'run.message' : `alert.${String(body['kind'])}`,
      at: found.createdAt,
      subject,
      body,
    }
    const isTooOld = services.now().getTime() - found.createdAt.getTime() > longestMs
    try {
      await tell(services, db, channel, notice, isTooOld)
    } catch (error) {
      await leaveNotice(db, outboxId)
      throw error
    }
  } else services.log({ event: 'notice.nobody', tenantId, channel: name })
  await removeFromOutbox(db, outboxId)
}

/** Throws where it is worth trying again. */
async function tell(
  services: EngineServices,
  db: TenantDb,
  channel: Channel,
  notice: Notice,
  isLast: boolean,
): Promise<void> {
  try {
    await sendTo(services, db, channel, notice)
    await noteFailure(db, channel.id, null)
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error
    await noteFailure(db, channel.id, { code: error.code, message: error.message }, error.code === 'gone')
    if (error.retryable && !isLast) throw error
  }
}

/** Opens the channel's secret and sends. */
export async function sendTo(
  services: EngineServices,
  db: TenantDb,
  channel: Channel,
  notice: Notice,
): Promise<void> {
  const { kind, config } = channel
  const secret = await openedSecret(services, db, channel)
  const { publicUrl: ownUrl, allowPrivateHosts, now } = services
  await sendNotice({ kind, config, secret, ownUrl, allowPrivateHosts, now }, notice)
}

async function openedSecret(services: EngineServices, db: TenantDb, channel: Channel) {
  if (!channel.secret) return {}
  try {
    return JSON.parse(await services.secrets.unseal(db, channel.id, channel.secret)) as Record<
      string,
      unknown
    >
  } catch (cause) {
    if (!(cause instanceof SealBroken)) throw cause
    const words = `The secret of channel "${channel.name}" cannot be opened; give it again.`
    throw new StepFailure('secret_unreadable', words)
  }
}
