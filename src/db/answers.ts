import { sql } from 'drizzle-orm'
import type { Answer } from '#src/domain/call.ts'
import type { RunId } from '#src/domain/id.ts'
import type { TenantDb } from './database.ts'
import type { Wake } from './run-moves.ts'

/** Gives a waiting step its answer; null when it does not wait for this one, or no longer. See app.answer_step. */
export const answerStep = (
  db: TenantDb,
  step: { runId: RunId; step: string; mapIndex: number; key: string },
  answer: Answer,
): Promise<Wake | null> =>
  db.call(
    sql`app.answer_step(${step.runId}, ${step.step}, ${step.mapIndex}, ${step.key}, ${JSON.stringify(answer)}::jsonb)`,
  )

export type WaitingStep = { state: string; answerKey: string | null; cursor: Record<string, unknown> | null }

export async function findWaitingStep(
  db: TenantDb,
  runId: RunId,
  step: string,
  mapIndex: number,
): Promise<WaitingStep | undefined> {
  const [result] = await db.statements([
    {
      text: 'select state, answer_key, cursor from steps where tenant_id = $1 and run_id = $2 and key = $3 and map_index = $4',
      params: [db.tenantId, runId, step, mapIndex],
    },
  ])
  const [row] = result?.rows ?? []
  if (!row) return undefined
  return {
    state: String(row['state']),
    answerKey: row['answer_key'] as string | null,
    cursor: row['cursor'] as WaitingStep['cursor'],
  }
}
