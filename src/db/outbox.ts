import { sql } from 'drizzle-orm'
import type { ConnectionId, RunId, TenantId } from '#src/domain/id.ts'
import type { Database, TenantDb } from './database.ts'
import { statement, type Statement, type StatementResult } from './statement.ts'

export type OutboxMessage = {
  tenantId: TenantId
  id: number
  kind: 'run' | 'connection.drop_stage' | 'call' | 'notify'
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

/** What a load has staged in its destination. */
export type Stage = { connectionId: ConnectionId; loadId: string; table: string }

/** The stage of a finished load is dropped by a job of its own, once the step is known to be finished. */
export const dropStageLater = (tenantId: TenantId, stage: Stage): Statement =>
  statement(sql`
    insert into outbox (tenant_id, kind, payload, send_after)
    values (${tenantId}, 'connection.drop_stage', ${JSON.stringify(stage)}::jsonb, now())`)

/** The same for somebody to whom the step does not belong any more; while others are at work on it they need the stage. */
export const dropStageIfOver = (tenantId: TenantId, stage: Stage, runId: RunId, key: string): Statement =>
  statement(sql`
    insert into outbox (tenant_id, kind, payload, send_after)
    select tenant_id, 'connection.drop_stage', ${JSON.stringify(stage)}::jsonb, now() from steps
    where tenant_id = ${tenantId} and run_id = ${runId} and key = ${key} and map_index = 0 and finished_at is not null`)

/**
 * It is handed over at once after the commit, and by the tick when that did not happen.
 * @param mark tells its id from those of others in the results of one transaction
 */
export const outboxInsert = (
  tenantId: TenantId,
  kind: 'call' | 'notify',
  mark: string,
  payload: Record<string, unknown>,
): Statement =>
  statement(sql`
    insert into outbox (tenant_id, kind, payload, send_after)
    values (${tenantId}, ${kind}, ${JSON.stringify(payload)}::jsonb, now() + interval '60 s')
    returning id, ${mark}::text as mark`)

export function outboxIdIn(results: readonly StatementResult[], mark: string): number | undefined {
  const row = results.flatMap(({ rows }) => rows).find((one) => one['mark'] === mark)
  return row ? Number(row['id']) : undefined
}

/** Undefined when it is out already. */
export async function findInOutbox(
  db: TenantDb,
  kind: 'call',
  id: number,
): Promise<{ payload: unknown; attempts: number; createdAt: Date } | undefined> {
  const [result] = await db.statements([
    {
      text: 'select payload, attempts, created_at from outbox where tenant_id = $1 and id = $2 and kind = $3',
      params: [db.tenantId, id, kind],
    },
  ])
  const [row] = result?.rows ?? []
  if (!row) return undefined
  return {
    payload: row['payload'],
    attempts: Number(row['attempts']),
    createdAt: new Date(String(row['created_at'])),
  }
}

/**
 * Takes a notice to tell it, so that nobody else does meanwhile, however often its message comes. Undefined when somebody
 * has it, or it is out already. Who dies with it leaves it to the tick, when its time is over.
 */
export async function takeNotice(
  db: TenantDb,
  id: number,
  forMs: number,
): Promise<{ payload: unknown; createdAt: Date } | undefined> {
  const [result] = await db.statements([
    {
      text: `update outbox set taken_until = clock_timestamp() + $3 * interval '1 ms'
        where tenant_id = $1 and id = $2 and kind = 'notify' and coalesce(taken_until < clock_timestamp(), true)
        returning payload, created_at`,
      params: [db.tenantId, id, forMs],
    },
  ])
  const [row] = result?.rows ?? []
  return row && { payload: row['payload'], createdAt: new Date(String(row['created_at'])) }
}

/** Lets whoever comes next tell it. */
export async function leaveNotice(db: TenantDb, id: number): Promise<void> {
  await db.statements([
    {
      text: 'update outbox set taken_until = null where tenant_id = $1 and id = $2',
      params: [db.tenantId, id],
    },
  ])
}

export async function removeFromOutbox(db: TenantDb, id: number): Promise<void> {
  await db.statements([
    { text: 'delete from outbox where tenant_id = $1 and id = $2', params: [db.tenantId, id] },
  ])
}
