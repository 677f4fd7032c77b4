import { sql } from 'drizzle-orm'
import type { TenantDb } from './database.ts'

/** What a definition calls by name and may be made after it. */
export type NamedKind = 'connection' | 'channel' | 'pipeline'

/** Those of which there is none, as far as the caller may know. */
export async function unknownNames<T extends { kind: NamedKind; name: string }>(
  db: TenantDb,
  named: readonly T[],
): Promise<T[]> {
  if (named.length === 0) return []
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      with asked as (select distinct * from jsonb_to_recordset(${JSON.stringify(named)}::jsonb) as a(kind text, name text))
      select a.kind, a.name from asked a
      where case a.kind
        when 'connection' then exists (select from connections c where c.tenant_id = ${db.tenantId} and c.name = a.name)
        when 'channel' then exists (select from channels c where c.tenant_id = ${db.tenantId} and c.name = a.name)
        else exists (select from pipelines p where p.tenant_id = ${db.tenantId} and p.name = a.name and p.deleted_at is null) end`),
  )
  const known = new Set(rows.map(({ kind, name }) => `${String(kind)} ${String(name)}`))
  return named.filter(({ kind, name }) => !known.has(`${kind} ${name}`))
}
