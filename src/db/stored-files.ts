import { sql, type SQL } from 'drizzle-orm'
import type { ConnectionId, TenantId } from '#src/domain/id.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'

type Refused = { refused: 'quota'; quota: QuotaStanding } | { refused: 'removing' }

/** Promises room for an upload and notes it; undefined when it is promised. */
export const promiseFile = async (
  db: TenantDb,
  connectionId: ConnectionId,
  name: string,
  bytes: number,
): Promise<Refused | undefined> =>
  (await db.call<Refused | null>(sql`app.promise_file(${connectionId}, ${name}, ${bytes})`)) ?? undefined

/** What the object storage says of a promised file, noted; undefined when it is not there. */
export const settleFile = (
  db: TenantDb,
  { connectionId, name }: Omit<StoredFile, 'tenantId'>,
  found: { bytes: number; etag: string; changedAt?: Date } | undefined,
): Promise<void> =>
  db.call(
    sql`app.settle_file(${connectionId}, ${name}, ${found === undefined ? null : JSON.stringify(seenOf(found))}::jsonb)`,
  )

const seenOf = ({ bytes, etag, changedAt }: { bytes: number; etag: string; changedAt?: Date }) => {
  const at = changedAt?.toISOString()
  return { bytes, seen: `${etag} ${at ?? ''}`, changedAt: at }
}

/** Notes that the file is to be removed: from now on it is, by the caller or by the tick. */
export const beginRemoval = (db: TenantDb, connectionId: ConnectionId, name: string): Promise<void> =>
  db.call(sql`app.begin_removal(${connectionId}, ${name})`)

/** Notes that the file is removed. */
export const endRemoval = (db: TenantDb, connectionId: ConnectionId, name: string): Promise<void> =>
  db.call(sql`app.end_removal(${connectionId}, ${name})`)

export type StoredFile = { tenantId: TenantId; connectionId: ConnectionId; name: string }

/** Uploads of every tenant whose outcome is to be looked at; see app.promised_files. */
export const promisedFiles = (database: Database, limit: number): Promise<StoredFile[]> =>
  listed(database, sql`app.promised_files(${limit})`)

/** Removals of every tenant that nobody has finished; see app.due_removals. */
export const dueRemovals = (database: Database, limit: number): Promise<StoredFile[]> =>
  listed(database, sql`app.due_removals(${limit})`)

const listed = (database: Database, files: SQL): Promise<StoredFile[]> =>
  openCall(
    database,
    sql`(select coalesce(jsonb_agg(jsonb_build_object(
      'tenantId', f.tenant_id, 'connectionId', f.connection_id, 'name', f.name)), '[]') from ${files} f)`,
  )
