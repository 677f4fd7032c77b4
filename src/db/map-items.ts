import { sql } from 'drizzle-orm'
import type { RunId } from '#src/domain/id.ts'
import { itemsInside } from '#src/domain/item-place.ts'
import type { Json } from '#src/domain/json.ts'
import type { StepState } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'
import type { ClaimedStep, StepResult } from './run-moves.ts'
import { statement, type Statement } from './statement.ts'

export type BegunItem = {
  state: StepState
  output: Json
  error: { code: string; message: string } | null
}

/** The row that a map has, and its name where it stands inside an item of another one. */
type MapRow = { step: ClaimedStep; inner: string | null }

const keyOf = ({ step, inner }: MapRow): string => (inner === null ? step.key : `${step.key}.${inner}`)

/** The items of a map that have been begun, in their order. Outputs beyond `mostBytes` are left out. */
export async function begunItems(
  db: TenantDb,
  runId: RunId,
  map: MapRow,
  mostBytes: number,
): Promise<BegunItem[]> {
  const { from, to } = itemsInside(map.step.mapIndex)
  return (
    (await db.call<BegunItem[] | null>(sql`(
      select jsonb_agg(jsonb_build_object('state', i.state, 'error', i.error,
        'output', case when i.bytes <= ${mostBytes}::int then i.output end) order by i.map_index)
      from (
        select s.map_index, s.state, s.error, s.output,
          sum(octet_length(coalesce(s.output, 'null')::text)) over (order by s.map_index) as bytes
        from steps s
        where s.tenant_id = ${db.tenantId} and s.run_id = ${runId} and s.key = ${keyOf(map)}
          and s.map_index between ${from}::int and ${to}::int) i)`)) ?? []
  )
}

/** The statement that writes the first items of a map as they ended, before the one that completes it; see app.end_items. */
export const endItems = (runId: RunId, { step, inner }: MapRow, ended: readonly StepResult[]): Statement =>
  statement(
    sql`select app.end_items(${runId}, ${step.key}, ${step.mapIndex}, ${inner}, ${step.fence}, ${JSON.stringify(ended)}::jsonb)`,
  )
