import { describe, expect, inject, it } from 'vitest'
import { keyFor, madeUp, paths, problem } from '#test/support/answers.ts'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import {
  connect,
  end,
  finished,
  json,
  pipeline,
  readRun,
  start,
  warehouseTable,
  type RunJson,
} from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'

const here = await fileWorld()
const acme = await here.tenant()
const owner = filePool()
const warehouse = filePool(inject('warehouse').url)
await connect(acme, 'postgres', 'house')

const post = (path: string, body: unknown = {}) => acme.fetch(path, { method: 'POST', body })
const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  acme.fetch(path, { method: 'PATCH', body, headers })
const one = 'steps:\n  - { id: one, sql: select 1 as n, into: ones_$ }\n'
/** Datasets are the tenant's: each pipeline has its own. */
const own = (text: string) => text.replaceAll('$', crypto.randomUUID().slice(0, 8).replaceAll('-', '_'))
const waits =
  'steps:\n  - { id: rests, wait: { for: 3h } }\n  - { id: then, sql: select 1 as n, into: then_$, after: [rests] }\n'
const waiting = async (pipelineId: string): Promise<string> => {
  const runId = await start(acme, pipelineId)
  await until('the run to wait', async () => (await readRun(acme, runId)).steps[0]?.state === 'waiting')
  return runId
}

describe.concurrent('a paused pipeline', () => {
  it('starts nothing, says who paused it and why, and starts what was queued when it goes on', async () => {
    const id = await pipeline(acme, own(one))
    const paused = await json<{ paused: { by: string; reason: string } }>(
      await post(`/v1/pipelines/${id}/pause`, { reason: 'the source is being moved' }),
      200,
    )
    expect(paused.paused).toMatchObject({
      reason: 'the source is being moved',
    })
    await json(await post(`/v1/pipelines/${id}/pause`, { reason: 'once more' }), 200)
    expect(await json(await acme.fetch(`/v1/pipelines/${id}`), 200)).toMatchObject({ paused: paused.paused })
    const runs = [await start(acme, id), await start(acme, id), await start(acme, id)]
    await until('the messages to be taken', async () => {
      const { rowCount } = await owner.query(`select from outbox where payload->>'runId' = any($1)`, [runs])
      return rowCount === 0
    })
    for (const runId of runs) expect((await readRun(acme, runId)).state).toBe('queued')
    expect(await json(await post(`/v1/pipelines/${id}/resume`), 200)).toEqual({ id })
    for (const runId of runs) expect((await end(acme, runId)).state).toBe('succeeded')
    expect(await json(await acme.fetch(`/v1/pipelines/${id}`), 200)).not.toHaveProperty('paused')
    await problem(await post(`/v1/pipelines/${madeUp(id)}/pause`), 404)
  })
})

describe.concurrent('a rerun', () => {
  it('from what failed reads what the first run made, through several reruns, and keeps it from the clean-up', async () => {
    // By itself: an open run of the same tenant would keep what this wants to see dropped.
    const initech = await here.tenant()
    await connect(initech, 'postgres', 'house')
    const post = (path: string, body: unknown = {}) => initech.fetch(path, { method: 'POST', body })
    const table = `public.${warehouseTable()}`
    const name = own('r_$')
    const id = await pipeline(
      initech,
      `parameters:
  value: { type: integer }
steps:
  - { id: draw, sql: "select \${params.value} as r", into: ${name} }
  - { id: publish, load: { from: ${name}, connection: house, table: ${table}, mode: append } }
  - { id: after_it, sql: select count(*) as n from ${name}, into: ${name}_n, after: [publish] }
`,
    )
    // Nobody may make a table whose name is a view's.
    await warehouse.query(`create view ${table} as select 1 as r`)
    const first = await finished(initech, id, { value: 1 })
    expect(first).toMatchObject({ state: 'failed', steps: [{ state: 'succeeded' }, { state: 'failed' }, {}] })
    for (let value = 2; value <= 6; value++) await finished(initech, id, { value })
    const again = async (of: string, from = 'failed') =>
      (await json<RunJson>(await post(`/v1/runs/${of}/rerun`, { from }), 202)).id
    const second = await end(initech, await again(first.id))
    expect(second).toMatchObject({
      state: 'failed',
      rerunOf: first.id,
      trigger: 'rerun',
      steps: [{ state: 'succeeded', copiedFrom: first.id }, { state: 'failed' }, {}],
    })
    await warehouse.query(`drop view ${table}`)
    await post(`/v1/pipelines/${id}/pause`)
    const third = await again(second.id)
    await owner.query('select app.drop_old_versions(1000)')
    await post(`/v1/pipelines/${id}/resume`)
    expect(await end(initech, third)).toMatchObject({ state: 'succeeded' })
    expect((await warehouse.query(`select r from ${table}`)).rows).toEqual([{ r: '1' }])
    await owner.query('select app.drop_old_versions(1000)')
    const gone = await problem(await post(`/v1/runs/${third}/rerun`, { from: 'publish' }), 409)
    expect(gone.detail).toContain('step "draw"')
    expect(await end(initech, await again(third, 'draw'))).toMatchObject({ state: 'succeeded' })
  })

  it('refuses what makes no sense in words', async () => {
    const id = await pipeline(acme, own(one))
    const done = await finished(acme, id)
    const nothing = await problem(await post(`/v1/runs/${done.id}/rerun`, { from: 'failed' }), 409)
    expect(nothing.detail).toContain('has failed')
    expect(await paths(await post(`/v1/runs/${done.id}/rerun`, { from: 'two' }), 422)).toEqual(['from'])
    expect(await paths(await post(`/v1/runs/${done.id}/rerun`, {}), 422)).toEqual(['from'])
    await problem(await post(`/v1/runs/${madeUp(done.id)}/rerun`, { from: 'all' }), 404)
    const open = await waiting(await pipeline(acme, own(waits)))
    await problem(await post(`/v1/runs/${open}/rerun`, { from: 'all' }), 409)
    const reader = await keyFor(acme, ['runs:read'])
    await problem(await reader(`/v1/runs/${done.id}/rerun`, { method: 'POST', body: { from: 'all' } }), 403)
  })

  it('with the current version does again what has changed, with the parameters that it wants now', async () => {
    const name = `p-${crypto.randomUUID().slice(0, 8)}`
    const of = (steps: string) => `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\n${steps}`
    const set = own('v_$')
    const steps = (second: string) =>
      `steps:\n  - { id: a, sql: select 1 as n, into: ${set}_a }\n  - { id: b, sql: "${second}", into: ${set}_b }\n`
    const id = await pipeline(acme, steps(`select n / 0 as n from ${set}_a`), name)
    const failed = await finished(acme, id)
    expect(failed.state).toBe('failed')
    const put = await acme.fetch(`/v1/pipelines/${id}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/yaml', 'If-Match': '*' },
      body: of(
        `parameters:\n  by: { type: integer, default: 2 }\n${steps(`select n * \${params.by} as n from ${set}_a`)}`,
      ),
    })
    await json(put, 200)
    const run = await json<RunJson>(
      await post(`/v1/runs/${failed.id}/rerun`, { from: 'failed', version: 'current' }),
      202,
    )
    expect(await end(acme, run.id)).toMatchObject({
      state: 'succeeded',
      version: 2,
      parameters: { by: 2 },
      steps: [{ copiedFrom: failed.id }, { state: 'succeeded', attempt: 1 }],
    })
  })
})

describe.concurrent('a mark', () => {
  it('ends a step that waits, what follows goes on, and the reason is in the event', async () => {
    const runId = await waiting(await pipeline(acme, own(waits)))
    const pending = await problem(
      await post(`/v1/runs/${runId}/steps/then/mark`, { as: 'succeeded', reason: 'x' }),
      409,
    )
    expect(pending.detail).toContain('pending')
    expect(await paths(await post(`/v1/runs/${runId}/steps/rests/mark`, { as: 'succeeded' }), 422)).toEqual([
      'reason',
    ])
    await problem(await post(`/v1/runs/${runId}/steps/none/mark`, { as: 'succeeded', reason: 'x' }), 404)
    await json(
      await post(`/v1/runs/${runId}/steps/rests/mark`, { as: 'succeeded', reason: 'the file came by mail' }),
      200,
    )
    expect(await end(acme, runId)).toMatchObject({ state: 'succeeded' })
    const { rows } = await owner.query(
      `select actor like 'key_%' as "byKey", data from run_events where run_id = $1 and data ? 'marked'`,
      [runId],
    )
    expect(rows).toEqual([{ byKey: true, data: { marked: true, reason: 'the file came by mail' } }])
    await problem(await post(`/v1/runs/${runId}/mark`, { as: 'failed', reason: 'x' }), 409)
  })

  it('takes a running statement from its Worker, and ends a whole run', async () => {
    const slow = await start(
      acme,
      await pipeline(
        acme,
        own(
          'steps:\n  - { id: slow, sql: "select count(*) as n from generate_series(1, 1000000000)", into: slow_$ }\n',
        ),
      ),
    )
    await until('the step to run', async () => (await readRun(acme, slow)).steps[0]?.state === 'running')
    const answer = await json(
      await post(`/v1/runs/${slow}/mark`, { as: 'succeeded', reason: 'good enough' }),
      200,
    )
    expect(answer).toEqual({ id: slow, state: 'succeeded' })
    expect(await readRun(acme, slow)).toMatchObject({ state: 'succeeded', steps: [{ state: 'cancelled' }] })
  })
})

describe.concurrent('priority', () => {
  it('lets the higher of two queued runs go first, as it was started or as it was changed', async () => {
    const id = await pipeline(acme, `concurrency: 1\n${own(waits)}`)
    const first = await waiting(id)
    const started = async (priority?: number) =>
      (
        await json<RunJson>(
          await post('/v1/runs', { pipelineId: id, ...(priority ? { priority } : {}) }),
          202,
        )
      ).id
    const low = await started()
    const middle = await started(5)
    const high = await started(1)
    expect(await json(await patch(`/v1/runs/${high}`, { priority: 9, reason: 'urgent' }), 200)).toMatchObject(
      {
        priority: 9,
      },
    )
    await problem(await patch(`/v1/runs/${first}`, { priority: 9 }), 409)
    expect(await paths(await patch(`/v1/runs/${low}`, { priority: 1_000 }), 422)).toEqual(['priority'])
    for (const runId of [first, high, middle, low]) {
      await until('the run to wait', async () => (await readRun(acme, runId)).state === 'waiting')
      await json(await post(`/v1/runs/${runId}/mark`, { as: 'succeeded', reason: 'next' }), 200)
    }
    const { rows } = await owner.query<{ id: string }>(
      'select id from runs where pipeline_id = $1 order by started_at',
      [id],
    )
    expect(rows.map((row) => row.id)).toEqual([first, high, middle, low])
  })
})

describe('limits', () => {
  it('of a tenant are set by who may, and lifting one starts what waited', async () => {
    const globex = await here.tenant()
    const id = await pipeline(globex, own(one))
    const change = (body: unknown) => globex.fetch('/v1/tenant', { method: 'PATCH', body })
    const operator = await keyFor(globex, ['runs:write'])
    await problem(await operator('/v1/tenant', { method: 'PATCH', body: { concurrency: 2 } }), 403)
    expect(await paths(await change({ concurrency: 0 }), 422)).toEqual(['concurrency'])
    await owner.query(
      `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, started_at)
       select tenant_id, 'run_held', pipeline_id, id, 'running', 'manual', '{}', 'x', 1, now() from pipeline_versions where pipeline_id = $1`,
      [id],
    )
    expect(await json(await change({ concurrency: 1 }), 200)).toEqual({ id: globex.id, concurrency: 1 })
    const runs = [await start(globex, id), await start(globex, id)]
    await until('the messages to be taken', async () => {
      const { rowCount } = await owner.query(`select from outbox where payload->>'runId' = any($1)`, [runs])
      return rowCount === 0
    })
    for (const runId of runs) expect((await readRun(globex, runId)).state).toBe('queued')
    await json(await change({ concurrency: null }), 200)
    for (const runId of runs) expect((await end(globex, runId)).state).toBe('succeeded')
  })

  it('of a connection are set with it, and its outages are shown until it is reset', async () => {
    const id = await connect(acme, 'postgres', `c-${crypto.randomUUID().slice(0, 8)}`)
    const read = async () => json<Record<string, unknown>>(await acme.fetch(`/v1/connections/${id}`), 200)
    expect(await read()).not.toHaveProperty('concurrency')
    const changed = await patch(`/v1/connections/${id}`, { concurrency: 2 }, { 'If-Match': '"v1"' })
    expect(await json(changed, 200)).toMatchObject({ concurrency: 2 })
    await owner.query(
      `update connections set failures = 6, rests_until = '2999-01-01T00:00:00Z' where id = $1`,
      [id],
    )
    expect(await read()).toMatchObject({
      concurrency: 2,
      failures: 6,
      restsUntil: '2999-01-01T00:00:00.000Z',
    })
    const reset = await json<Record<string, unknown>>(await post(`/v1/connections/${id}/reset`), 200)
    expect(reset).toMatchObject({ id, concurrency: 2 })
    expect(await read()).toEqual(reset)
    expect(reset).not.toHaveProperty('failures')
    const lifted = await patch(`/v1/connections/${id}`, { concurrency: null }, { 'If-Match': '*' })
    expect(await json(lifted, 200)).not.toHaveProperty('concurrency')
  })
})
