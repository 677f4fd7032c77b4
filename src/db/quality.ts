import { sql } from 'drizzle-orm'
import type { RunId, TenantId } from '#src/domain/id.ts'
import { statement, type Statement } from './statement.ts'

export type Measured = {
  rule: string
  column?: string | undefined
  onFail: string
  checked: number
  failed: number
  passed: boolean
}

/** The statements that keep what a check found; a second attempt's results replace the first's. */
export const qualityInsert = (
  tenantId: TenantId,
  runId: RunId,
  stepKey: string,
  results: readonly Measured[],
): Statement[] => [
  statement(sql`
    insert into quality_results (tenant_id, run_id, step_key, position, rule, column_name, on_fail, checked, failed, passed)
    select ${tenantId}, ${runId}, ${stepKey}, r.position, r.rule, r."column", r."onFail", r.checked, r.failed, r.passed
    from jsonb_to_recordset(${JSON.stringify(results.map((result, position) => ({ ...result, position })))}::jsonb)
      as r(position smallint, rule text, "column" text, "onFail" text, checked bigint, failed bigint, passed boolean)
    on conflict (tenant_id, run_id, step_key, position) do update
      set rule = excluded.rule, column_name = excluded.column_name, on_fail = excluded.on_fail,
        checked = excluded.checked, failed = excluded.failed, passed = excluded.passed`),
]
