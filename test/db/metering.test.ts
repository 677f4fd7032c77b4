import { afterAll, describe, expect, it } from 'vitest'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import { newId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import {
  codeOf,
  engineCalls,
  newBareTenant,
  plannedPipeline,
  type EngineCalls,
} from '#test/support/engine-calls.ts'
import { fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const opened: EngineCalls[] = []
afterAll(() => Promise.all(opened.map((calls) => calls.end())))

const callsOf = async (tenant: TenantId): Promise<EngineCalls> => {
  // The Worker's login on the server itself: the gateway's address is not needed here.
  const url = new URL(database.ownerUrl)
  const { username, password } = new URL(database.url)
  const calls = await engineCalls(Object.assign(url, { username, password }).href, tenant)
  opened.push(calls)
  return calls
}

const twoSteps = (tenant: TenantId, tags: Record<string, string> = {}): Promise<PipelineId> =>
  plannedPipeline(owner, tenant, [
    { key: 'a', needs: [], when: 'all_success' },
    { key: 'b', needs: ['a'], when: 'all_success' },
  ]).then(async (id) => {
    await owner.query(
      `update pipeline_versions set definition = definition || jsonb_build_object('tags', $2::jsonb) where pipeline_id = $1`,
      [id, JSON.stringify(tags)],
    )
    return id
  })

const quotas = (tenant: TenantId, allowed: Record<string, number>) =>
  owner.query('update tenants set quotas = $2 where tenant_id = $1', [tenant, JSON.stringify(allowed)])

const fold = async (): Promise<string[]> =>
  (await owner.query<{ tenant: string }>('select app.add_up_usage(1000) as tenant')).rows.map(
    (row) => row.tenant,
  )

/** What the database says was used, added up or not. */
const usedBy = async (tenant: TenantId): Promise<Record<string, number>> =>
  (await owner.query<{ used: Record<string, number> }>('select app.used($1) as used', [tenant])).rows[0]
    ?.used ?? {}

const claimed = async (calls: EngineCalls, run: RunId, delivery = 'msg'): Promise<ClaimedStep> => {
  const claim = await calls.claim(run, null, delivery)
  if (claim.outcome !== 'claimed') throw new Error(`wanted a step, got ${claim.outcome}`)
  return claim.step
}

async function oneRun(calls: EngineCalls, pipeline: PipelineId, rows = 10): Promise<void> {
  const run = await calls.start(pipeline)
  const done = { state: 'succeeded', rowsOut: rows } as const
  const { step } = await calls.complete(run, await claimed(calls, run), done, 'msg')
  if (!step) throw new Error('the next step was not claimed')
  await calls.complete(run, step, done, 'msg')
}

const start = (calls: EngineCalls, pipeline: PipelineId) =>
  calls.client
    .query<{ started: { refused?: string; quota?: Record<string, unknown> } }>(
      `select app.start_run($1, $2, 'manual', '{}') as started`,
      [newId('run'), pipeline],
    )
    .then(({ rows }) => rows[0]?.started)

describe('what is used', () => {
  it('is counted once however often a step is delivered, and not at all for whoever has lost it', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const run = await calls.start(await twoSteps(tenant))
    const stale = await claimed(calls, run, 'one')
    await owner.query(`update steps set lease_until = now() - interval '1 s' where run_id = $1`, [run])
    const fresh = await claimed(calls, run, 'two')
    const done = { state: 'succeeded', rowsOut: 7 } as const
    expect(await codeOf(calls.complete(run, stale, done, 'one'))).toBe('WE001')
    const { step } = await calls.complete(run, fresh, done, 'two')
    expect(await codeOf(calls.complete(run, fresh, done, 'two'))).toBe('WE001')
    if (!step) throw new Error('the next step was not claimed')
    await owner.query(
      `update steps set claimed_at = now() - interval '2 s' where run_id = $1 and key = 'b'`,
      [run],
    )
    await calls.complete(run, step, { state: 'succeeded', rowsOut: 5 }, 'two')
    expect(await codeOf(calls.complete(run, step, { state: 'succeeded', rowsOut: 5 }, 'two'))).toBe('WE001')
    const used = await usedBy(tenant)
    expect(used).toMatchObject({ runs: 1, rows: 12 })
    expect(used['computeMs']).toBeGreaterThanOrEqual(2_000)
    expect(used['computeMs']).toBeLessThan(10_000)
  })

  it('counts the time of attempts that failed, and no rows of theirs', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const run = await calls.start(await twoSteps(tenant))
    const first = await claimed(calls, run)
    await owner.query(
      `update steps set claimed_at = now() - interval '1 s' where run_id = $1 and key = 'a'`,
      [run],
    )
    const { step } = await calls.complete(run, first, { state: 'ready', delayMs: 0, rowsOut: 100 }, 'msg')
    const again = step ?? (await claimed(calls, run))
    await calls.complete(
      run,
      again,
      { state: 'failed', rowsOut: 100, error: { code: 'x', message: 'x' } },
      'msg',
    )
    const used = await usedBy(tenant)
    expect(used['rows'] ?? 0).toBe(0)
    expect(used['computeMs']).toBeGreaterThanOrEqual(1_000)
  })

  it('is the same before, while and after it is added up by several ticks at once', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const pipeline = await twoSteps(tenant, { team: 'blue' })
    for (let i = 0; i < 5; i++) await oneRun(calls, pipeline)
    const before = await usedBy(tenant)
    const system = await Promise.all([0, 1, 2].map(() => callsOf(tenant)))
    await Promise.all(system.map(({ client }) => client.query('select app.add_up_usage(1000)')))
    for (let i = 0; i < 3; i++) await oneRun(calls, pipeline)
    await Promise.all(system.map(({ client }) => client.query('select app.add_up_usage(1000)')))
    const after = await usedBy(tenant)
    expect(before).toMatchObject({ runs: 5, rows: 100 })
    expect(after).toMatchObject({ runs: 8, rows: 160 })
    const { rows } = await owner.query(
      `select meter, tags, sum(amount)::int as amount from usage where tenant_id = $1 and meter in ('runs', 'rows') group by 1, 2 order by 1`,
      [tenant],
    )
    expect(rows).toEqual([
      { meter: 'rows', tags: { team: 'blue' }, amount: 160 },
      { meter: 'runs', tags: { team: 'blue' }, amount: 8 },
    ])
    expect((await owner.query('select from meterings where tenant_id = $1', [tenant])).rowCount).toBe(0)
  })

  it('is taken back with what was used', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const pipeline = await twoSteps(tenant)
    await calls.client.query('begin')
    await calls.start(pipeline)
    await calls.client.query('rollback')
    expect(await usedBy(tenant)).toEqual({})
  })

  it('of one tenant is not used by another', async () => {
    const [acme, globex] = [await newBareTenant(owner), await newBareTenant(owner)]
    const calls = await callsOf(acme)
    await oneRun(calls, await twoSteps(acme))
    await fold()
    expect((await usedBy(acme))['runs']).toBe(1)
    expect(await usedBy(globex)).toEqual({})
  })
})

describe('quotas', () => {
  it('are not overshot by 50 starts at once', async () => {
    const tenant = await newBareTenant(owner)
    const pipeline = await twoSteps(tenant)
    await quotas(tenant, { runs: 20 })
    const sessions = await Promise.all(Array.from({ length: 50 }, () => callsOf(tenant)))
    const started = await Promise.all(sessions.map((calls) => start(calls, pipeline)))
    expect(started.filter((one) => one?.refused === undefined)).toHaveLength(20)
    const refused = started.filter((one) => one?.refused === 'quota')
    expect(refused).toHaveLength(30)
    expect(refused[0]?.quota).toMatchObject({ name: 'runs', used: 20, limit: 20 })
    expect(await usedBy(tenant)).toMatchObject({ runs: 20, refusedRuns: 30 })
    await fold()
    expect((await start(sessions[0] as EngineCalls, pipeline))?.refused).toBe('quota')
  }, 60_000)

  it('of rows and of time refuse the next run and let the one that is under way finish', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const pipeline = await twoSteps(tenant)
    await quotas(tenant, { rows: 15 })
    const run = await calls.start(pipeline)
    const { step } = await calls.complete(
      run,
      await claimed(calls, run),
      { state: 'succeeded', rowsOut: 20 },
      'msg',
    )
    if (!step) throw new Error('the next step was not claimed')
    const child = await calls.client.query(`select app.start_run($1, $2, 'parent', '{}') as started`, [
      newId('run'),
      pipeline,
    ])
    expect(child.rows[0].started.refused).toBeUndefined()
    expect(await calls.complete(run, step, { state: 'succeeded', rowsOut: 20 }, 'msg')).toMatchObject({
      runState: 'succeeded',
    })
    expect((await start(calls, pipeline))?.quota).toMatchObject({ name: 'rows', used: 40, limit: 15 })
    expect(await fold()).toContain(tenant)
    const { rows } = await owner.query('select over_quota from tenants where tenant_id = $1', [tenant])
    expect(rows).toEqual([{ over_quota: ['rows'] }])
    await quotas(tenant, {})
    expect((await start(calls, pipeline))?.refused).toBeUndefined()
    expect(await fold()).toContain(tenant)
  })

  it('of last month are this month’s no more', async () => {
    const tenant = await newBareTenant(owner)
    const calls = await callsOf(tenant)
    const pipeline = await twoSteps(tenant)
    await quotas(tenant, { runs: 1 })
    await start(calls, pipeline)
    await owner.query(`update meterings set day = day - interval '1 month' where tenant_id = $1`, [tenant])
    expect((await start(calls, pipeline))?.refused).toBeUndefined()
    expect((await start(calls, pipeline))?.refused).toBe('quota')
  })

  it('count requests once, whatever is read twice, read late or lost', async () => {
    const tenant = await newBareTenant(owner)
    await quotas(tenant, { requests: 100 })
    const count = async (epoch: string, requests: number): Promise<string[]> =>
      (
        await owner.query<{ tenant: string }>('select app.count_requests(current_date, $1, $2) as tenant', [
          epoch,
          JSON.stringify({ [tenant]: requests, ten_nobody: 5 }),
        ])
      ).rows.map((row) => row.tenant)
    expect(await count('one', 40)).toEqual([])
    expect(await count('one', 40)).toEqual([])
    expect(await count('one', 30)).toEqual([])
    expect((await usedBy(tenant))['requests']).toBe(40)
    expect(await count('two', 60)).toEqual([tenant])
    expect((await usedBy(tenant))['requests']).toBe(100)
  })
})
