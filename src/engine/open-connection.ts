import type { OpenConnection } from '#src/connectors/connectors.ts'
import type { Connection } from '#src/db/connections.ts'
import type { TenantDb } from '#src/db/database.ts'
import type { SecretBox } from '#src/db/secrets.ts'
import type { Storage } from '#src/storage/storage.ts'

/** Opens a stored connection's secret and gives it what its connector needs of the outside. */
export async function openConnection(
  services: { secrets: SecretBox; storage: Storage; allowPrivateHosts: boolean },
  db: TenantDb,
  connection: Connection,
  signal: AbortSignal,
): Promise<OpenConnection> {
  const secret = connection.secret ? JSON.parse(await services.secrets.unseal(db, connection.id, connection.secret)) : {}
  return {
    tenantId: db.tenantId,
    id: connection.id,
    name: connection.name,
    kind: connection.kind,
    config: connection.config,
    secret: secret as Record<string, unknown>,
    storage: services.storage,
    allowPrivateHosts: services.allowPrivateHosts,
    signal,
  }
}
