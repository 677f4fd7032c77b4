import { findConnection } from '#src/db/connections.ts'
import { removeFromOutbox } from '#src/db/outbox.ts'
import type { JobPayload } from '#src/domain/job.ts'
import type { EngineServices } from '#src/engine/services.ts'

/** Drops what a finished load left in its destination; a connection that is gone takes its stages with it. */
export async function dropStage(services: EngineServices, job: JobPayload<'drop-stage'>): Promise<void> {
  const db = services.database.tenant(job.tenantId, 'job')
  const connection = await findConnection(db, job.connectionId)
  if (connection) {
    const { dropLoadStage } = await import('#src/connectors/connectors.ts')
    const { openConnection } = await import('#src/engine/open-connection.ts')
    const opened = await openConnection(services, db, connection, AbortSignal.timeout(60_000))
    await dropLoadStage(opened, { loadId: job.loadId, table: job.table })
  }
  await removeFromOutbox(db, job.outboxId)
}
