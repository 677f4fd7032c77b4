import { sql } from 'drizzle-orm'
import type { Id, TenantId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import { tenantRecord, type TenantRecord } from '#src/domain/tenant-record.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'

/** Undefined when there is no such tenant. */
export async function getTenantRecord(
  database: Database,
  tenantId: TenantId,
): Promise<TenantRecord | undefined> {
  const value = await openCall<unknown>(database, sql`app.tenant_record(${tenantId})`)
  return value === null ? undefined : tenantRecord.parse(value)
}

/** Whether the caller's session stands, what role they have now, and the tenant: asked only when Redis does not answer. */
export async function getCallerState(
  db: TenantDb,
  family: Id<'session'>,
): Promise<{ stands: boolean; role: RoleName | null; tenant: TenantRecord | undefined }> {
  const found = await db.call<{ stands: boolean; role: RoleName | null; tenant: unknown }>(
    sql`app.caller_state(${family})`,
  )
  return { ...found, tenant: found.tenant === null ? undefined : tenantRecord.parse(found.tenant) }
}
