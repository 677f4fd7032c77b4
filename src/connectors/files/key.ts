import type { ConnectionId, TenantId } from '#src/domain/id.ts'
import { tenantKey, type StorageKey } from '#src/storage/key.ts'

/** Where a file of a files connection is kept. */
export const fileKey = (tenantId: TenantId, connectionId: ConnectionId, name: string): StorageKey =>
  tenantKey(tenantId, `connections/${connectionId}/${name}`)

/** The part of its files' keys that is below the tenant's folder. */
export const filesPrefix = (connectionId: ConnectionId): string => `connections/${connectionId}/`
