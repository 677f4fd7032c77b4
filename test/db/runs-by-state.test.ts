import { expect, it } from 'vitest'
import { listRuns } from '#src/db/runs.ts'
import type { TenantDb } from '#src/db/database.ts'
import { newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'

const database = await fileDatabase()
const here = await fileWorldOn(database)

it.each(['failed', 'cancelled', 'succeeded_with_warnings', 'queued', 'waiting'] as const)(
  'the list of runs that are %s touches few of those that are not, however many there are',
  async (state) => {
    const { owner } = database
    const tenantId = await newBareTenant(owner)
    const pipelineId = await plannedPipeline(owner, tenantId, [])
    await owner.query(
      `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, finished_at)
       select $1, 'run_' || lpad(n::text, 26, '0'), $2, v.id, case when n = 1 then $3 else 'succeeded' end, 'manual', '{}', 'x', 0,
         case when n > 1 or $3 in ('failed', 'cancelled', 'succeeded_with_warnings') then now() end
       from pipeline_versions v, generate_series(1, 4000) n where v.pipeline_id = $2`,
      [tenantId, pipelineId, state],
    )
    await owner.query('analyze runs')
    const db = here.services.database.tenant(tenantId, 'job')
    const asked: { text: string; params?: readonly unknown[] }[] = []
    const watched: TenantDb = {
      ...db,
      statements: (statements, signal) => {
        asked.push(...statements)
        return db.statements(statements, signal)
      },
    }
    expect(await listRuns(watched, { state }, 50)).toMatchObject([{ state, pipelineId }])
    const [{ text, params = [] } = { text: '' }] = asked
    const { rows } = await owner.query<{ 'QUERY PLAN': [{ Plan: { 'Shared Hit Blocks': number } }] }>(
      `explain (analyze, buffers, format json) ${text}`,
      [...params],
    )
    expect(rows[0]?.['QUERY PLAN'][0].Plan['Shared Hit Blocks']).toBeLessThan(30)
  },
)
