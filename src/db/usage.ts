import { sql, type SQL } from 'drizzle-orm'
import type { PipelineId, ProjectId, TenantId } from '#src/domain/id.ts'
import type { Meter } from '#src/domain/price.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

export type Grouping = 'day' | 'project' | 'tag' | 'pipeline'
export type UsageFilter = {
  from: string
  to: string
  by: Grouping
  projectId?: ProjectId | undefined
  pipelineId?: PipelineId | undefined
  /** With `by: 'tag'`: the one whose values are told apart. */
  tag?: string | undefined
}
export type UsageRow = { key: string; name: string | null; meter: Meter; amount: number }
export type Usage = { rows: UsageRow[]; totals: UsageRow[]; quotas: QuotaStanding[]; plan: string }

/** See app.usage_rows. */
const used = ({ from, to, projectId, pipelineId }: UsageFilter): SQL => sql`
  select a.* from app.usage_rows(${from}::date, ${to}::date) a
  where (${projectId ?? null}::text is null or a.project_id = ${projectId ?? null})
    and (${pipelineId ?? null}::text is null or a.pipeline_id = ${pipelineId ?? null})`

const keys: Record<Grouping, SQL> = {
  day: sql`to_char(a.day, 'YYYY-MM-DD')`,
  project: sql`a.project_id`,
  pipeline: sql`a.pipeline_id`,
  tag: sql`t.label`,
}

function grouped(db: TenantDb, filter: UsageFilter): SQL {
  const { by, tag } = filter
  const labels =
    tag === undefined
      ? sql`select e.key || '=' || e.value as label from jsonb_each_text(a.tags) e union all select '' where a.tags = '{}'`
      : sql`select coalesce(a.tags->>${tag}, '') as label`
  return sql`
    with a as materialized (${used(filter)}),
    g as (
      select ${keys[by]} as key, a.meter, sum(a.amount)::text as amount
      from a ${by === 'tag' ? sql`cross join lateral (${labels}) t` : sql``}
      group by 1, 2)
    select g.key, g.meter, g.amount, n.name
    from g
    left join ${by === 'project' ? sql`projects` : sql`pipelines`} n
      on n.tenant_id = ${db.tenantId} and n.id = g.key and ${by === 'project' || by === 'pipeline'}
    order by g.key, g.meter
    limit 50000`
}

/** What the tenant has used, in groups and altogether, and how it stands with its quotas; one transaction. */
export async function readUsage(db: TenantDb, filter: UsageFilter): Promise<Usage> {
  const [rows, totals, standings] = await db.statements([
    statement(grouped(db, filter)),
    statement(
      sql`select '' as key, a.meter, sum(a.amount)::text as amount, null as name from (${used(filter)}) a group by a.meter`,
    ),
    statement(sql`
      select app.quota_standings() as quotas, t.plan from tenants t where t.tenant_id = ${db.tenantId}`),
  ])
  const [standing] = standings?.rows ?? []
  return {
    rows: (rows?.rows ?? []).map(usageRow),
    totals: (totals?.rows ?? []).map(usageRow),
    quotas: (standing?.['quotas'] ?? []) as QuotaStanding[],
    plan: standing?.['plan'] as string,
  }
}

const usageRow = (row: Record<string, unknown>): UsageRow => ({
  key: String(row['key']),
  name: row['name'] as string | null,
  meter: String(row['meter']) as Meter,
  amount: Number(row['amount']),
})

export const readQuotas = (db: TenantDb): Promise<QuotaStanding[]> => db.call(sql`app.quota_standings()`)

/** Keeps what the tenant's record says of used-up quotas in step; true when that has changed. */
export const judgeOwnQuotas = (db: TenantDb): Promise<boolean> => db.call(sql`app.judge_own_quotas()`)

/** The tick's: adds up what has happened; gives the tenants whose used-up quotas have changed. */
export const addUpUsage = (database: Database, limit: number): Promise<TenantId[]> =>
  openCall(database, sql`(select coalesce(jsonb_agg(t), '[]') from app.add_up_usage(${limit}) t)`)

/** Takes over what one of Redis' counters says; the same. */
export const countRequests = (
  database: Database,
  day: string,
  epoch: string,
  counts: Record<string, number>,
): Promise<TenantId[]> =>
  openCall(
    database,
    sql`(select coalesce(jsonb_agg(t), '[]') from app.count_requests(${day}::date, ${epoch}, ${JSON.stringify(counts)}::jsonb) t)`,
  )
