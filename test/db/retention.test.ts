import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { logWrite } from '#src/db/logs.ts'
import { newId, type DatasetId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'

let database: OwnDatabase
let owner: pg.Client
type Side = { tenantId: TenantId; calls: EngineCalls; pipelineId: PipelineId }
let acme: Side
let globex: Side

async function side(): Promise<Side> {
  const tenantId = await newBareTenant(owner)
  const pipelineId = await plannedPipeline(owner, tenantId, [{ key: 'a', needs: [], when: 'all_success' }])
  return { tenantId, pipelineId, calls: await engineCalls(database.url, tenantId) }
}

beforeAll(async () => {
  database = await ownDatabase()
  owner = database.owner
})
beforeEach(async () => {
  acme = await side()
  globex = await side()
})
afterEach(() => Promise.all([acme.calls.end(), globex.calls.end()]))
afterAll(async () => {
  await database.leave()
})

const keep = (of: Side, days: number | null) =>
  owner.query('update tenants set retention_days = $2 where tenant_id = $1', [of.tenantId, days])

/** A run that failed so many days ago, with something in every table that tells of it. */
async function oldRun({ calls, tenantId, pipelineId }: Side, days: number): Promise<RunId> {
  const runId = await calls.start(pipelineId)
  const claim = await calls.claim(runId, null, 'msg')
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
  const { text, params } = logWrite(runId, claim.step, [{ at: new Date(), level: 'info', message: 'said' }])
  await calls.client.query(text, params)
  const error = { code: 'x', message: 'It broke.' }
  await calls.complete(runId, claim.step, { state: 'failed', error }, 'msg')
  await owner.query(
    `insert into quality_results (tenant_id, run_id, step_key, position, rule, on_fail, checked, failed, passed)
     values ($1, $2, 'a', 0, 'not_null', 'warn', 1, 0, true)`,
    [tenantId, runId],
  )
  await owner.query(
    `update runs set created_at = created_at - $2 * interval '1 day', finished_at = finished_at - $2 * interval '1 day' where id = $1`,
    [runId, days],
  )
  return runId
}

/** A dataset's version that the run made. */
async function version(of: Side, runId: RunId, state: 'ready' | 'dropped', step = 'a'): Promise<DatasetId> {
  const [dataset, id] = [newId('dataset'), newId('datasetVersion')]
  await owner.query(
    'insert into datasets (tenant_id, id, name, current_version_id) values ($1, $2, $2, $3)',
    [of.tenantId, dataset, state === 'ready' ? id : null],
  )
  await owner.query(
    `insert into dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key) values ($1, $2, $3, $4, '[]', $5, $6)`,
    [of.tenantId, id, dataset, state, runId, step],
  )
  return dataset
}

const forget = async (of: Side, limit = 500): Promise<number> =>
  (
    await of.calls.client.query<{ gone: number }>('select app.forget_runs($1, $2) as gone', [
      of.tenantId,
      limit,
    ])
  ).rows[0]?.gone ?? -1

const left = async (of: Side): Promise<string[]> =>
  (
    await owner.query<{ id: string }>('select id from runs where tenant_id = $1 order by id', [of.tenantId])
  ).rows.map(({ id }) => id)

/** Every table that refers to runs, from the catalogue, and what happens there when a run goes. */
const references = async () =>
  (
    await owner.query<{ name: string; action: string }>(
      `select conrelid::regclass::text as name, confdeltype as action from pg_constraint
       where contype = 'f' and confrelid = 'public.runs'::regclass order by 1`,
    )
  ).rows

async function tracesOf(runId: RunId): Promise<string[]> {
  const found: string[] = []
  for (const { name } of await references()) {
    const { rowCount } = await owner.query(`select from ${name} where run_id = $1`, [runId])
    if (rowCount) found.push(name)
  }
  return found
}

describe('a run that is over', () => {
  it('is forgotten with all that tells of it when its tenant’s time has passed, and no other tenant’s', async () => {
    await Promise.all([keep(acme, 30), keep(globex, 60)])
    const [old, young] = [await oldRun(acme, 31), await oldRun(acme, 29)]
    const theirs = await oldRun(globex, 31)
    await version(acme, old, 'dropped')
    const before = await tracesOf(old)
    expect(before).toEqual(
      expect.arrayContaining([
        'steps',
        'run_events',
        'run_logs',
        'alerts',
        'quality_results',
        'dataset_versions',
      ]),
    )
    expect([await forget(acme), await forget(globex)]).toEqual([1, 0])
    expect([await left(acme), await left(globex)]).toEqual([[young], [theirs]])
    expect(await tracesOf(old)).toEqual([])
    expect(await tracesOf(theirs)).toEqual(before.filter((name) => name !== 'dataset_versions'))
    await owner.query(`update runs set finished_at = finished_at - interval '28 days' where id = $1`, [
      theirs,
    ])
    expect(await forget(globex)).toBe(0)
    await owner.query(`update runs set finished_at = finished_at - interval '1 day' where id = $1`, [theirs])
    expect([await forget(globex), await left(globex)]).toEqual([1, []])
  })

  it('is kept for 90 days where nobody said otherwise, and for ever where somebody said so', async () => {
    await keep(globex, null)
    const [gone, kept, forever] = [
      await oldRun(acme, 91),
      await oldRun(acme, 89),
      await oldRun(globex, 4_000),
    ]
    expect([await forget(acme), await forget(globex)]).toEqual([1, 0])
    expect([await left(acme), await left(globex)]).toEqual([[kept], [forever]])
    expect(await tracesOf(gone)).toEqual([])
  })

  it('is kept while a version that it made is, or a run that goes back to it is under way', async () => {
    const [current, rerun, parent, none] = [
      await oldRun(acme, 100),
      await oldRun(acme, 100),
      await oldRun(acme, 100),
      await oldRun(acme, 100),
    ]
    const dataset = await version(acme, current, 'ready')
    const again = await acme.calls.start(acme.pipelineId)
    await owner.query('update runs set rerun_of = $2 where id = $1', [again, rerun])
    const child = await acme.calls.start(acme.pipelineId)
    await owner.query('update runs set parent_run_id = $2 where id = $1', [child, parent])
    expect(await forget(acme)).toBe(1)
    expect(await left(acme)).toEqual([current, rerun, parent, again, child])
    expect(await tracesOf(none)).toEqual([])
    await acme.calls.cancel(again)
    await acme.calls.cancel(child)
    await owner.query(`update dataset_versions set state = 'dropped' where dataset_id = $1`, [dataset])
    expect(await forget(acme)).toBe(3)
    expect(await left(acme)).toEqual([again, child])
  })

  it('is never one that is not over', async () => {
    const open = await acme.calls.start(acme.pipelineId)
    await owner.query(`update runs set created_at = created_at - interval '1000 days' where id = $1`, [open])
    expect([await forget(acme), await left(acme)]).toEqual([0, [open]])
  })
})

describe('forgetting', () => {
  it('takes the oldest first, so many a statement, and less where there is much to each', async () => {
    const runs: RunId[] = []
    for (const days of [200, 300, 100]) runs.push(await oldRun(acme, days))
    expect([await forget(acme, 1), await left(acme)]).toEqual([1, [runs[0], runs[2]]])
    await owner.query('update runs set events = 100000 where tenant_id = $1', [acme.tenantId])
    expect([await forget(acme), await left(acme)]).toEqual([1, [runs[2]]])
    expect([await forget(acme), await left(acme)]).toEqual([1, []])
  })

  it('goes through the tenants in turn', async () => {
    const turn = async (limit: number) =>
      (
        await acme.calls.client.query<{ next: string }>('select app.next_to_forget($1) as next', [limit])
      ).rows.map(({ next }) => next)
    await keep(globex, null)
    const all = await turn(1_000)
    expect(all).toContain(acme.tenantId)
    expect(all).not.toContain(globex.tenantId)
    expect(await turn(1_000)).toEqual([])
    await owner.query(`update tenants set forgotten_at = now() - interval '2 min'`)
    await owner.query(`update tenants set forgotten_at = now() - interval '3 min' where tenant_id = $1`, [
      acme.tenantId,
    ])
    expect(await turn(1)).toEqual([acme.tenantId])
    expect((await turn(1_000)).length).toBe(all.length - 1)
  })

  it('reaches every table that refers to runs', async () => {
    const found = await references()
    expect(found.length).toBeGreaterThan(5)
    // A version's row is taken away by the same statement, and only where its table is gone.
    expect(found.filter(({ action }) => action !== 'c')).toEqual([{ name: 'dataset_versions', action: 'a' }])
  })
})
