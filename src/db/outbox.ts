import { sql } from 'drizzle-orm'
import type { ConnectionId, TenantId } from '#src/domain/id.ts'
import type { Database, TenantDb } from './database.ts'
import { statement, type Statement } from './statement.ts'

export type OutboxMessage = {
  tenantId: TenantId
  id: number
  kind: 'run' | 'connection.drop_stage'
  payload: Record<string, unknown>
  notBefore: string | null
}

/** Hands out what waits in every tenant's outbox past its time; see app.sweep. */
export async function sweepOutbox(database: Database, limit: number): Promise<OutboxMessage[]> {
  const [result] = await database.open(database.sql.execute(sql`select * from app.sweep(${limit})`))
  return result.rows.map((row) => ({
    tenantId: row['tenant_id'] as TenantId,
    id: Number(row['id']),
    kind: row['kind'] as OutboxMessage['kind'],
    payload: row['payload'] as Record<string, unknown>,
    notBefore: row['not_before'] as string | null,
  }))
}

/** The stage of a finished load is dropped by a job of its own, once the step is known to be finished. */
export const dropStageLater = (
  tenantId: TenantId,
  connectionId: ConnectionId,
  loadId: string,
  table: string,
): Statement =>
  statement(sql`
    insert into outbox (tenant_id, kind, payload, send_after)
    values (${tenantId}, 'connection.drop_stage', ${JSON.stringify({ connectionId, loadId, table })}::jsonb, now())`)

export async function removeFromOutbox(db: TenantDb, id: number): Promise<void> {
  await db.statements([
    { text: 'delete from outbox where tenant_id = $1 and id = $2', params: [db.tenantId, id] },
  ])
}
