import { describe, expect, it } from 'vitest'
import { madeUp, problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { connect, end, finished, json, pipeline, readRun, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

const waiting =
  'steps:\n  - { id: long, wait: { for: 1h } }\n  - { id: next, after: [long], sql: select 1 as n, into: ones }\n'
const cancel = (tenant: Tenant, id: string) => tenant.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
const dates = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

describe('a run', () => {
  it('says what it was, how it went and how long it took, without nulls', async () => {
    const { id } = await finished(
      acme,
      await pipeline(acme, 'steps:\n  - { id: one, sql: select 1 as n, into: ones }\n', 'whole'),
    )
    const answer = await acme.fetch(`/v1/runs/${id}`)
    const run = await json<Record<string, unknown>>(answer, 200)
    const moment = expect.stringMatching(dates)
    const times = { startedAt: moment, finishedAt: moment, durationMs: expect.any(Number) }
    expect(run).toEqual({
      id,
      pipelineId: expect.stringMatching(/^pip_/),
      pipelineName: 'whole',
      version: 1,
      state: 'succeeded',
      trigger: 'manual',
      priority: 0,
      parameters: {},
      startedBy: expect.stringMatching(/^key_/),
      createdAt: moment,
      ...times,
      steps: [
        {
          key: 'one',
          kind: 'sql',
          state: 'succeeded',
          attempt: 1,
          rowsIn: 0,
          rowsOut: 1,
          rowsRejected: 0,
          ...times,
        },
      ],
    })
    const headers = { 'If-None-Match': answer.headers.get('etag') ?? '' }
    expect((await acme.fetch(`/v1/runs/${id}`, { headers })).status).toBe(304)
  })

  it('says which step failed and why', async () => {
    const steps =
      'retry: { attempts: 1 }\nsteps:\n  - id: read\n    extract: { connection: absent, stream: a.csv }\n    into: raw\n'
    const run = await finished(acme, await pipeline(acme, steps))
    expect(run).toMatchObject({
      state: 'failed',
      steps: [{ state: 'failed', error: { message: expect.stringContaining('"absent"') } }],
    })
  })

  it('shows what its rules found', async () => {
    const files = await connect(acme, 'files')
    await upload(acme, files, 'q.csv', 'id,city\n1,Rome\n2,\n3,Oslo\n')
    const { id } = await finished(
      acme,
      await pipeline(
        acme,
        `steps:
  - id: read
    extract: { connection: files, stream: q.csv }
    into: quality_rows
  - id: checked
    check: quality_rows
    rules:
      - { rule: row_count, min: 1 }
      - { rule: not_null, column: city, onFail: warn }
`,
      ),
    )
    const { items } = await json<{ items: object[] }>(await acme.fetch(`/v1/runs/${id}/quality`), 200)
    expect(items).toEqual([
      { stepKey: 'checked', rule: 'row_count', onFail: 'fail', checked: 3, failed: 0, passed: true },
      {
        stepKey: 'checked',
        rule: 'not_null',
        column: 'city',
        onFail: 'warn',
        checked: 3,
        failed: 1,
        passed: false,
      },
    ])
    expect((await readRun(acme, id)).state).toBe('succeeded_with_warnings')
  })

  it('of another tenant is not there, in the same words as a made-up one', async () => {
    const id = await start(acme, await pipeline(acme, waiting))
    for (const which of [id, madeUp(id)]) {
      for (const path of ['', '/quality', '/events']) {
        const refused = await problem(await globex.fetch(`/v1/runs/${which}${path}`), 404)
        expect(refused.detail).toBe('There is no such run.')
      }
      expect((await problem(await cancel(globex, which), 404)).detail).toBe('There is no such run.')
    }
    await problem(await acme.fetch('/v1/runs/not-an-id'), 404)
    expect(['queued', 'running', 'waiting']).toContain((await readRun(acme, id)).state)
    await cancel(acme, id)
  })
})

describe('cancelling', () => {
  it('ends a run that has not begun', async () => {
    const quiet = await world((services) => ({
      ...services,
      send: () => Promise.resolve(),
      neverHere: true,
    }))
    const tenant = await quiet.tenant()
    const id = await start(tenant, await pipeline(tenant, waiting))
    expect(await json(await cancel(tenant, id), 202)).toEqual({ id, state: 'cancelled' })
    expect((await readRun(tenant, id)).steps.map(({ state }) => state)).toEqual(['cancelled', 'cancelled'])
    await quiet.close()
  })

  it('ends a run that is under way, and what it would have done', async () => {
    const id = await start(acme, await pipeline(acme, waiting))
    await until('the wait', async () => (await readRun(acme, id)).steps[0]?.state === 'waiting')
    const { state } = await json<{ state: string }>(await cancel(acme, id), 202)
    expect(['cancelling', 'cancelled']).toContain(state)
    const run = await end(acme, id)
    expect([run.state, ...run.steps.map((step) => step.state)]).toEqual([
      'cancelled',
      'cancelled',
      'cancelled',
    ])
  })

  it('is too late for a run that is over', async () => {
    const { id } = await finished(
      acme,
      await pipeline(acme, 'steps:\n  - { id: one, sql: select 1 as n, into: ones_too }\n'),
    )
    expect((await problem(await cancel(acme, id), 409)).detail).toBe('The run is succeeded already.')
    expect((await readRun(acme, id)).state).toBe('succeeded')
  })
})
