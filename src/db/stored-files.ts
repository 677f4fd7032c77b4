import { sql } from 'drizzle-orm'
import type { ConnectionId, TenantId } from '#src/domain/id.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

/** Promises room for an upload; gives the quota that has none. */
export const promiseFile = async (
  db: TenantDb,
  connectionId: ConnectionId,
  name: string,
  bytes: number,
): Promise<QuotaStanding | undefined> =>
  (await db.call<QuotaStanding | null>(sql`app.promise_file(${connectionId}, ${name}, ${bytes})`)) ??
  undefined

/** The file is there with so many bytes, or is not there. */
export async function settleFile(
  db: TenantDb,
  connectionId: ConnectionId,
  name: string,
  bytes: number | undefined,
): Promise<void> {
  const which = sql`tenant_id = ${db.tenantId} and connection_id = ${connectionId} and name = ${name}`
  await db.statements([
    statement(
      bytes === undefined
        ? sql`delete from stored_files where ${which}`
        : sql`update stored_files set bytes = ${bytes}, promised_at = null where ${which}`,
    ),
  ])
}

export type PromisedFile = { tenantId: TenantId; connectionId: ConnectionId; name: string }

/** Uploads of every tenant whose outcome is to be looked at; see app.promised_files. */
export const promisedFiles = (database: Database, limit: number): Promise<PromisedFile[]> =>
  openCall(
    database,
    sql`(select coalesce(jsonb_agg(jsonb_build_object(
      'tenantId', f.tenant_id, 'connectionId', f.connection_id, 'name', f.name)), '[]') from app.promised_files(${limit}) f)`,
  )
