import type pg from 'pg'
import type { TenantId } from '#src/domain/id.ts'

/** What is written of requests themselves, whatever becomes of them. */
const ofRequests = /^(audit|idempotency|usage|metering|request_counts)/
/** When something was used, and what the tick and the cache note for themselves. */
const ofUse =
  '{last_used_at,last_used_from,updated_at,checked_at,last_seen_at,forgotten_at,metered_at,logs_forgotten_to}'

/** Every row of a tenant's, but what is written of requests themselves: how many of each table, and a digest of them. */
export async function standing(owner: pg.Client, tenantId: TenantId): Promise<Record<string, string>> {
  const { rows: tables } = await owner.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and not c.relispartition`,
  )
  const found: Record<string, string> = {}
  for (const { name } of tables.filter((table) => !ofRequests.test(table.name))) {
    const { rows } = await owner.query<{ sum: string }>(
      `select count(*) || ' ' || md5(coalesce(string_agg(row, '' order by row), '')) as sum
       from (select md5((to_jsonb(t) - $2::text[])::text) as row from ${name} t where tenant_id = $1) rows`,
      [tenantId, ofUse],
    )
    found[name] = rows[0]?.sum ?? ''
  }
  return found
}
