import { sendNotice } from '#src/connectors/channels.ts'
import { findStream, holdStream, nextBatch, passStream, type AuditStream } from '#src/db/audit-streams.ts'
import type { TenantDb } from '#src/db/database.ts'
import { SealBroken } from '#src/db/secrets.ts'
import type { Notice } from '#src/domain/channel.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Id, TenantId } from '#src/domain/id.ts'
import type { EngineServices } from './services.ts'

const batch = 100
/** One job's share; what is left is the next tick's. */
const mostBatches = 50
const firstWaitMs = 30_000
const longestWaitMs = 3_600_000

/**
 * Sends a stream's entries in their order, a batch a request, each at least once: where it stands moves on only when a batch
 * was taken, and a batch that is sent again has the same webhook-id.
 */
export async function deliverAuditStream(
  services: EngineServices,
  { tenantId, streamId }: { tenantId: TenantId; streamId: Id<'auditStream'> },
): Promise<void> {
  const db = services.database.tenant(tenantId, 'job')
  for (let n = 0; n < mostBatches; n++) {
    const stream = await findStream(db, streamId)
    if (!stream || stream.disabledAt) return
    const { entries, upTo } = await nextBatch(db, stream, batch)
    if (upTo === stream.cursor) return
    const first = entries[0]
    if (first) {
      const notice: Notice = {
        id: `msg_${stream.id}_${first.seq}_${entries.length}`,
        type: 'audit.entries',
        at: services.now(),
        subject: `${entries.length} audit entries`,
        body: { tenantId, streamId: stream.id, entries },
      }
      if (!(await sent(services, db, stream, notice))) return
    }
    if (!(await passStream(db, stream, upTo))) return
  }
}

async function sent(
  services: EngineServices,
  db: TenantDb,
  stream: AuditStream,
  notice: Notice,
): Promise<boolean> {
  try {
    const { publicUrl: ownUrl, allowPrivateHosts, now } = services
    const signingSecret = await openedSecret(services, db, stream)
    await sendNotice(
      {
        kind: 'webhook',
        config: { url: stream.url },
        secret: { signingSecret },
        ownUrl,
        allowPrivateHosts,
        now,
      },
      notice,
    )
    return true
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error
    const waitMs = Math.min(firstWaitMs * 2 ** Math.min(stream.attempts, 20), longestWaitMs)
    // Only the receiver's own word, 410, ends a stream: what was misconfigured for a day shall be made up for.
    await holdStream(
      db,
      stream,
      { code: error.code, message: error.message },
      error.code === 'gone' ? undefined : waitMs,
    )
    return false
  }
}

async function openedSecret(services: EngineServices, db: TenantDb, stream: AuditStream): Promise<string> {
  try {
    return await services.secrets.unseal(db, stream.id, stream.secret ?? '')
  } catch (cause) {
    if (!(cause instanceof SealBroken)) throw cause
    throw new StepFailure(
      'secret_unreadable',
      `The secret of stream "${stream.name}" cannot be opened; give it again.`,
    )
  }
}
