import { cacheTenantRecord } from '#src/cache/tenant-record.ts'
import { getTenantRecord } from '#src/db/tenant-record.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Context, Services } from './context.ts'

/**
 * Writes what requests must know of their tenant through to where they read it; called after the commit that changed it.
 * Should Redis fail just now, the old one is over when its cached copy is: half a minute.
 */
export async function refreshTenantRecord(of: Context | Services, tenantId: TenantId): Promise<void> {
  const services = 'services' in of ? of.services : of
  const record = await getTenantRecord(services.database, tenantId)
  if (!record) return
  await cacheTenantRecord(services.cache, tenantId, record).catch(() =>
    services.log({ event: 'tenant_not_cached', tenantId }),
  )
}
