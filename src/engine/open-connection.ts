import type { OpenConnection } from '#src/connectors/connectors.ts'
import type { Connection } from '#src/db/connections.ts'
import type { TenantDb } from '#src/db/database.ts'
import { SealBroken, type SecretBox } from '#src/db/secrets.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Storage } from '#src/storage/storage.ts'

/** Opens a stored connection's secret and gives it what its connector needs of the outside. */
export async function openConnection(
  services: { secrets: SecretBox; storage: Storage; allowPrivateHosts: boolean },
  db: TenantDb,
  connection: Connection,
  signal: AbortSignal,
): Promise<OpenConnection> {
  return {
    tenantId: db.tenantId,
    id: connection.id,
    name: connection.name,
    kind: connection.kind,
    config: connection.config,
    secret: await openedSecret(services.secrets, db, connection),
    storage: services.storage,
    allowPrivateHosts: services.allowPrivateHosts,
    signal,
  }
}

async function openedSecret(
  secrets: SecretBox,
  db: TenantDb,
  connection: Connection,
): Promise<Record<string, unknown>> {
  if (!connection.secret) return {}
  try {
    return JSON.parse(await secrets.unseal(db, connection.id, connection.secret)) as Record<string, unknown>
  } catch (cause) {
    if (!(cause instanceof SealBroken)) throw cause
    throw new StepFailure(
      'secret_unreadable',
      `The secret of connection "${connection.name}" cannot be opened; give it again.`,
    )
  }
}
