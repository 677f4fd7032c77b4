import { sql } from 'drizzle-orm'
import type { RunId } from '#src/domain/id.ts'
import type { Json } from '#src/domain/json.ts'
import type { StepState } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'

export type EndedItem = {
  index: number
  state: StepState
  output: Json
  error: { code: string; message: string } | null
}

/** How the items of a map have ended, in their order; `index` counts from 1. Outputs beyond `mostBytes` are left out. */
export async function endedItems(
  db: TenantDb,
  runId: RunId,
  key: string,
  mostBytes: number,
): Promise<EndedItem[]> {
  return (
    (await db.call<EndedItem[] | null>(sql`(
      select jsonb_agg(jsonb_build_object('index', i.map_index, 'state', i.state, 'error', i.error,
        'output', case when i.bytes <= ${mostBytes}::int then i.output end) order by i.map_index)
      from (
        select s.map_index, s.state, s.error, s.output,
          sum(octet_length(coalesce(s.output, 'null')::text)) over (order by s.map_index) as bytes
        from steps s
        where s.tenant_id = ${db.tenantId} and s.run_id = ${runId} and s.key = ${key} and s.map_index > 0) i)`)) ??
    []
  )
}
