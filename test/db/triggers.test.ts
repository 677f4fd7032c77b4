import { describe, expect, it } from 'vitest'
import { newId, type PipelineId, type RunId } from '#src/domain/id.ts'
import { newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { eventsOf } from '#test/support/ledger.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'
import { endRun, runsOf } from '#test/support/trigger-calls.ts'

const database = await fileDatabase()
const tenantId = await newBareTenant(database.owner)
const otherTenant = await newBareTenant(database.owner)
const one = await fileCalls(database, tenantId)
const two = await fileCalls(database, tenantId)
const stranger = await fileCalls(database, otherTenant)

const newPipeline = (tenant = tenantId) =>
  plannedPipeline(database.owner, tenant, [{ key: 'one', needs: [], when: 'all_success' }])
const nameOf = async (pipelineId: PipelineId) =>
  (await database.owner.query<{ name: string }>('select name from pipelines where id = $1', [pipelineId]))
    .rows[0]?.name ?? ''

async function listen(
  pipelineId: PipelineId,
  kind: 'dataset' | 'pipeline',
  sources: readonly string[],
  definition: object,
  tenant = tenantId,
): Promise<void> {
  const id = newId('trigger')
  await database.owner.query(
    'insert into triggers (tenant_id, id, pipeline_id, key, kind, definition) values ($1, $2, $3, $2, $4, $5)',
    [tenant, id, pipelineId, kind, JSON.stringify(definition)],
  )
  for (const name of sources)
    await database.owner.query(
      'insert into trigger_sources (tenant_id, kind, name, trigger_id) values ($1, $2, $3, $4)',
      [tenant, kind, name, id],
    )
}

/** Has the run make a version of each of these datasets. */
async function write(runId: RunId, datasets: readonly string[], tenant = tenantId): Promise<void> {
  for (const [i, name] of datasets.entries()) {
    await database.owner.query(
      'insert into datasets (tenant_id, id, name) values ($1, $2, $3) on conflict do nothing',
      [tenant, newId('dataset'), name],
    )
    await database.owner.query(
      `insert into dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key)
       select $1, $2, d.id, 'ready', '[]', $4, $5 from datasets d where d.tenant_id = $1 and d.name = $3`,
      [tenant, newId('datasetVersion'), name, runId, `s${i}`],
    )
  }
}

async function run(
  calls: EngineCalls,
  pipelineId: PipelineId,
  { writes = [], state = 'succeeded' }: { writes?: readonly string[]; state?: 'succeeded' | 'failed' } = {},
) {
  const runId = await calls.start(pipelineId)
  await write(runId, writes, calls === stranger ? otherTenant : tenantId)
  return { runId, wakes: await endRun(calls, runId, state) }
}
const started = async (pipelineId: PipelineId) =>
  (await runsOf(database.owner, pipelineId)).map(({ trigger }) => trigger)
const fresh = () => `d${crypto.randomUUID().replaceAll('-', '')}`

describe('new data', () => {
  it('starts who waits for any of several datasets once a run, when the run has succeeded', async () => {
    const [writer, reader, elsewhere] = [
      await newPipeline(),
      await newPipeline(),
      await newPipeline(otherTenant),
    ]
    const [a, b] = [fresh(), fresh()]
    await listen(reader, 'dataset', [a, b], { when: 'any' })
    await listen(elsewhere, 'dataset', [a, b], { when: 'any' }, otherTenant)
    const { wakes } = await run(one, writer, { writes: [a, b] })
    const runs = await runsOf(database.owner, reader)
    expect(runs).toMatchObject([{ trigger: 'dataset', state: 'queued', depth: 1 }])
    expect(wakes.map(({ runId }) => runId)).toEqual(runs.map(({ id }) => id))
    await run(one, writer, { writes: [a], state: 'failed' })
    await run(one, writer, { writes: [fresh()] })
    expect(await started(reader)).toEqual(['dataset'])
    expect(await started(elsewhere)).toEqual([])
    await run(stranger, await newPipeline(otherTenant), { writes: [b] })
    expect([await started(reader), await started(elsewhere)]).toEqual([['dataset'], ['dataset']])
  })

  it('starts who waits for all of them when the last has come, and begins to wait anew', async () => {
    const [writer, reader] = [await newPipeline(), await newPipeline()]
    const [a, b] = [fresh(), fresh()]
    await listen(reader, 'dataset', [a, b], { when: 'all' })
    for (const writes of [[a], [a], [b], [b]]) await run(one, writer, { writes })
    expect(await started(reader)).toEqual(['dataset'])
    await run(one, writer, { writes: [a] })
    expect(await started(reader)).toEqual(['dataset', 'dataset'])
  })

  it('neither loses nor doubles a start when both come at the same moment', async () => {
    const writer = await newPipeline()
    for (let round = 0; round < 25; round++) {
      const reader = await newPipeline()
      const [a, b] = [fresh(), fresh()]
      await listen(reader, 'dataset', [a, b], { when: 'all' })
      await Promise.all([run(one, writer, { writes: [a] }), run(two, writer, { writes: [b] })])
      expect(await started(reader)).toEqual(['dataset'])
    }
  })

  it('starts who waits for what a failed run had made once a rerun of that succeeds, and not a second time', async () => {
    const steps = ['s0', 's1'].map((key) => ({
      key,
      needs: key === 's1' ? ['s0'] : [],
      when: 'all_success' as const,
    }))
    const [writer, reader] = [await plannedPipeline(database.owner, tenantId, steps), await newPipeline()]
    const a = fresh()
    await listen(reader, 'dataset', [a], { when: 'any' })
    const works = async (runId: RunId, ...states: ('succeeded' | 'failed')[]) => {
      const claim = await one.claim(runId, null, 'msg')
      let step = claim.outcome === 'claimed' ? claim.step : undefined
      for (const state of states) {
        if (!step) throw new Error('there is no step to end')
        step = (await one.complete(runId, step, { state }, 'msg')).step ?? undefined
      }
    }
    const again = async (of: RunId, from: string) => {
      const runId = newId('run')
      await one.client.query('select app.rerun_run($1, $2, $3, $4)', [runId, of, from, '{}'])
      return runId
    }
    const first = await one.start(writer)
    await write(first, [a])
    await works(first, 'succeeded', 'failed')
    const second = await again(first, 'failed')
    await works(second, 'failed')
    expect(await started(reader)).toEqual([])
    const third = await again(second, 'failed')
    await works(third, 'succeeded')
    expect(await started(reader)).toEqual(['dataset'])
    await works(await again(third, 's1'), 'succeeded')
    expect(await started(reader)).toEqual(['dataset'])
  })

  it('makes one run for the time after a pause', async () => {
    const [writer, reader] = [await newPipeline(), await newPipeline()]
    const a = fresh()
    await listen(reader, 'dataset', [a], { when: 'any' })
    await database.owner.query('update pipelines set paused_at = now() where id = $1', [reader])
    for (let i = 0; i < 3; i++) await run(one, writer, { writes: [a] })
    expect(await started(reader)).toEqual(['dataset'])
  })
})

describe('a pipeline that follows another', () => {
  it.each([
    [['succeeded'], 'succeeded', 1],
    [['succeeded'], 'failed', 0],
    [['failed'], 'failed', 1],
    [['finished'], 'failed', 1],
    [['succeeded', 'finished'], 'succeeded', 1],
  ] as const)('on %j starts after a run that %s %i times', async (on, state, times) => {
    const [first, next] = [await newPipeline(), await newPipeline()]
    await listen(next, 'pipeline', [await nameOf(first)], { on })
    await run(one, first, { state })
    expect(await started(next)).toEqual(Array(times).fill('upstream'))
  })

  it('follows a cancelled run on finished alone, and no pipeline of that name of another tenant', async () => {
    const [first, onEnd, onFailure, foreign] = [
      await newPipeline(),
      await newPipeline(),
      await newPipeline(),
      await newPipeline(otherTenant),
    ]
    const name = await nameOf(first)
    await listen(onEnd, 'pipeline', [name], { on: ['finished'] })
    await listen(onFailure, 'pipeline', [name], { on: ['failed', 'succeeded'] })
    await listen(foreign, 'pipeline', [name], { on: ['finished'] }, otherTenant)
    await one.cancel(await one.start(first))
    expect(await started(onEnd)).toEqual(['upstream'])
    expect([...(await started(onFailure)), ...(await started(foreign))]).toEqual([])
  })

  it('ends a chain that comes back to itself after twenty runs, and says so', async () => {
    const [ping, pong] = [await newPipeline(), await newPipeline()]
    await listen(pong, 'pipeline', [await nameOf(ping)], { on: ['succeeded'] })
    await listen(ping, 'pipeline', [await nameOf(pong)], { on: ['succeeded'] })
    let { wakes, runId } = await run(one, ping)
    let ended = 1
    while (wakes[0]) {
      runId = wakes[0].runId
      wakes = await endRun(one, runId)
      ended++
    }
    expect(ended).toBe(21)
    const events = await eventsOf(database.owner, runId)
    expect(events.at(-1)).toMatchObject({
      type: 'trigger.refused',
      data: { trigger: 'upstream', reason: 'depth', pipelineId: pong },
    })
    const { rows } = await database.owner.query('select events from runs where id = $1', [runId])
    expect(rows).toEqual([{ events: events.length }])
  })

  it('counts the depth of a chain through runs that a run waits for', async () => {
    const [parent, child, next] = [await newPipeline(), await newPipeline(), await newPipeline()]
    await listen(next, 'pipeline', [await nameOf(child)], { on: ['succeeded'] })
    const above = await one.start(parent)
    await database.owner.query('update runs set depth = 7 where id = $1', [above])
    const below = newId('run')
    await one.client.query('select app.start_run($1, $2, $3, $4)', [
      below,
      child,
      'parent',
      JSON.stringify({ parent: { runId: above, step: 'one', mapIndex: 0 } }),
    ])
    await endRun(one, below)
    expect(await runsOf(database.owner, next)).toMatchObject([{ depth: 8 }])
  })

  it('is not started when it wants parameters, and the run before says so', async () => {
    const [first, next] = [await newPipeline(), await newPipeline()]
    await database.owner.query(
      `update pipeline_versions set definition = definition || '{"parameters": {"n": {"type": "integer"}}}' where pipeline_id = $1`,
      [next],
    )
    await listen(next, 'pipeline', [await nameOf(first)], { on: ['succeeded'] })
    const { runId } = await run(one, first)
    expect(await started(next)).toEqual([])
    expect((await eventsOf(database.owner, runId)).at(-1)).toMatchObject({
      type: 'trigger.refused',
      data: { reason: 'parameters' },
    })
  })
})
