import { sql } from 'drizzle-orm'
import type { RunId, TenantId } from '#src/domain/id.ts'
import type { Database } from './database.ts'
import { openCall } from './open-call.ts'

export type ErasureStage = 'runs' | 'objects' | 'keys' | 'people' | 'rows' | 'check' | 'done'
export type Erasure = { tenant: TenantId; stage: ErasureStage; cursor: string | null; askedAt: string }
export type Counts = Record<string, number>

/** Takes up one tenant whose time is over; nobody else gets it until it was noted or the lease is over. */
export const nextErasure = async (database: Database, leaseMs: number): Promise<Erasure | undefined> =>
  (await openCall<Erasure | null>(
    database,
    sql`app.next_erasure(${leaseMs}::double precision * interval '1 ms')`,
  )) ?? undefined

/** How far it has come and what has gone; it is taken up again after `waitMs`. */
export const noteErasure = (
  database: Database,
  tenantId: TenantId,
  stage: ErasureStage,
  cursor: string | undefined,
  counts: Counts,
  waitMs: number,
): Promise<void> =>
  openCall(
    database,
    sql`app.note_erasure(${tenantId}, ${stage}, ${cursor ?? null}, ${JSON.stringify(counts)}::jsonb,
      ${waitMs}::double precision * interval '1 ms')`,
  )

/** The accounts that have been nowhere else; 0 when there are no more. */
export const erasePeople = (database: Database, tenantId: TenantId, limit: number): Promise<number> =>
  openCall(database, sql`app.erase_people(${tenantId}, ${limit})`)

/** The next rows and tables of datasets; empty when nothing is left. */
export const eraseRows = (database: Database, tenantId: TenantId, limit: number): Promise<Counts> =>
  openCall(database, sql`app.erase_rows(${tenantId}, ${limit})`)

/** Open runs of tenants that are to end or were stopped by the platform. */
export async function unwantedRuns(
  database: Database,
  limit: number,
): Promise<{ tenantId: TenantId; runId: RunId }[]> {
  const [result] = await database.open(
    database.sql.execute(
      sql`select tenant_id as "tenantId", run_id as "runId" from app.unwanted_runs(${limit})`,
    ),
  )
  return result.rows as { tenantId: TenantId; runId: RunId }[]
}

/** What of the tenant's still runs, and the tables that wait to be dropped in a warehouse: `schema.table of connection`. */
export const leftElsewhere = (
  database: Database,
  tenantId: TenantId,
): Promise<{ runs: number; stages: string[] }> =>
  database.tenant(tenantId, 'job:erase').call(
    sql`(select jsonb_build_object(
      'runs', (select count(*) from runs where tenant_id = ${tenantId} and finished_at is null),
      'stages', (select coalesce(jsonb_agg(format('_weir_%s beside %s of %s', o.payload->>'loadId', o.payload->>'table',
          coalesce(c.name, o.payload->>'connectionId')) order by o.id), '[]')
        from outbox o left join connections c on c.tenant_id = o.tenant_id and c.id = o.payload->>'connectionId'
        where o.tenant_id = ${tenantId} and o.kind = 'connection.drop_stage')))`,
  )

export const forgetSpent = (database: Database, limit: number): Promise<Counts> =>
  openCall(database, sql`app.forget_spent(${limit})`)

export async function tenantsWithOldLogs(database: Database, limit: number): Promise<TenantId[]> {
  const [result] = await database.open(
    database.sql.execute(sql`select app.tenants_with_old_logs(${limit}) as "tenantId"`),
  )
  return result.rows.map((row) => row['tenantId'] as TenantId)
}

export const forgetLogs = (database: Database, tenantId: TenantId, limit: number): Promise<number> =>
  openCall(database, sql`app.forget_logs(${tenantId}, ${limit})`)
