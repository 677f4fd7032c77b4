import { sql } from 'drizzle-orm'
import type { Answer } from '#src/domain/call.ts'
import type { PipelineId, RunId } from '#src/domain/id.ts'
import type { Role } from '#src/domain/role.ts'
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

/** Whose approval the step asks for, or an inner one of it, or without `step` any of the run that has not ended. */
export async function rolesAskedFor(db: TenantDb, runId: RunId, step?: string): Promise<Role[][]> {
  const [result] = await db.statements([
    {
      text: `
        with asked as (
          select d.step from runs r
          join pipeline_versions v on v.tenant_id = r.tenant_id and v.id = r.version_id
          cross join jsonb_array_elements(v.definition->'steps') as d(step)
          join steps s on s.tenant_id = r.tenant_id and s.run_id = r.id and s.key = d.step->>'id' and s.map_index = 0
          where r.tenant_id = $1 and r.id = $2 and ($3::text is null or s.key = $3) and s.finished_at is null
        ), inside as (
          select step from asked
          union all
          select i.step from asked a cross join jsonb_array_elements(a.step->'map'->'steps') as i(step)
          union all
          select n.step from asked a cross join jsonb_array_elements(a.step->'map'->'steps') as i(step)
          cross join jsonb_array_elements(i.step->'map'->'steps') as n(step))
        select distinct step->'wait'->'approval'->'roles' as roles from inside where step->'wait' ? 'approval'`,
      params: [db.tenantId, runId, step ?? null],
    },
  ])
  return (result?.rows ?? []).map((row) => row['roles'] as Role[])
}

/** A step that waits for somebody to approve it. */
export type WaitingApproval = {
  runId: RunId
  pipelineId: PipelineId
  pipelineName: string
  step: string
  position: number
  mapIndex: number
  message: string | null
  roles: Role[]
  since: Date | null
  /** When it fails because nobody has decided. */
  until: Date | null
}

/** What waits for approval, by run and by the place of the step in it. */
const approvals = `
  select s.run_id as "runId", r.pipeline_id as "pipelineId", p.name as "pipelineName", s.key as step, s.position,
    s.map_index as "mapIndex", c.cursor->'approval'->>'message' as message, c.cursor->'approval'->'roles' as roles,
    s.started_at as since, c.cursor->>'until' as until
  from steps s
  cross join lateral (select coalesce(s.cursor->'inner', s.cursor) as cursor) c
  join runs r on r.tenant_id = s.tenant_id and r.id = s.run_id
  join pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id
  where s.tenant_id = $1 and s.state = 'waiting' and s.answer_key is not null and c.cursor ? 'approval'
    and ($2::text is null or (s.run_id, s.position, s.map_index) > ($2, $3::integer, $4::integer))
  order by s.run_id, s.position, s.map_index limit $5`

/** Oldest run first; one more than `limit` says that there are further ones. */
export async function listApprovals(
  db: TenantDb,
  after: { runId: RunId; position: number; mapIndex: number } | undefined,
  limit: number,
): Promise<WaitingApproval[]> {
  const { runId = null, position = 0, mapIndex = 0 } = after ?? {}
  const [found] = await db.statements([
    { text: approvals, params: [db.tenantId, runId, position, mapIndex, limit + 1] },
  ])
  type Row = Omit<WaitingApproval, 'since' | 'until'> & { since: string | null; until: string | null }
  return ((found?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    since: row.since === null ? null : new Date(row.since),
    until: row.until === null ? null : new Date(row.until),
  }))
}
