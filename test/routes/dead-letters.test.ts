import { describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { keyFor, madeUp, paths, problem } from '#test/support/answers.ts'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const acme = await here.tenant()
const owner = filePool()

type Letter = {
  id: string
  runId: string
  stepKey: string
  state: string
  attempts: number
  error: { code: string; message: string }
  replayRunId?: string
}
type Letters = { items: Letter[]; nextCursor?: string }

const post = (path: string, body: unknown = {}, tenant = acme) => tenant.fetch(path, { method: 'POST', body })
const list = async (query = '', tenant = acme) =>
  json<Letters>(await tenant.fetch(`/v1/dead-letters?${query}`), 200)

/** Fails where the dataset that it reads holds a zero, which is another pipeline's to make. */
async function dividing(tenant: Tenant) {
  const name = `z_${crypto.randomUUID().slice(0, 8)}`
  const feed = await pipeline(
    tenant,
    `parameters:\n  by: { type: integer }\nsteps:\n  - { id: feed, sql: "select \${params.by} as by", into: ${name} }\n`,
  )
  const broken = await pipeline(
    tenant,
    `steps:
  - { id: fine, sql: select 1 as n, into: ${name}_fine }
  - { id: divides, sql: select 1 / by as share from ${name}, into: ${name}_share, after: [fine] }
`,
  )
  return { name, broken, feed: (by: number) => finished(tenant, feed, { by }) }
}

describe('dead letters', () => {
  it('show what failed for good, with what happened to it and what it would read, and replay it once', async () => {
    const { name, broken, feed } = await dividing(acme)
    await feed(0)
    const run = await finished(acme, broken)
    expect(run.state).toBe('failed')
    const { items } = await list(`pipelineId=${broken}`)
    expect(items).toMatchObject([
      { runId: run.id, stepKey: 'divides', state: 'open', attempts: 1, error: { code: 'sql_failed' } },
    ])
    const letter = items[0] as Letter
    const read = await acme.fetch(`/v1/dead-letters/${letter.id}`)
    expect(await json(read, 200)).toMatchObject({
      id: letter.id,
      pipelineId: broken,
      error: { message: expect.stringContaining('division by zero') },
      events: [{ type: 'step.ready' }, { type: 'step.running' }, { type: 'step.failed' }],
      inputs: [{ dataset: name, rows: 1, versionId: expect.stringMatching(/^dsv_/) }],
    })
    await feed(2)
    const path = `/v1/dead-letters/${letter.id}/replay`
    const [one, two] = await Promise.all([post(path, { reason: 'the feed is right now' }), post(path)])
    const answers = [one, two].toSorted((a, b) => a.status - b.status)
    expect(answers.map(({ status }) => status)).toEqual([202, 409])
    const { id } = await json<{ id: string }>(answers[0] as Response, 202)
    expect(await end(acme, id)).toMatchObject({
      state: 'succeeded',
      rerunOf: run.id,
      steps: [
        { key: 'fine', copiedFrom: run.id },
        { key: 'divides', state: 'succeeded' },
      ],
    })
    expect((await list(`pipelineId=${broken}`)).items).toMatchObject([{ state: 'replayed', replayRunId: id }])
    expect((await list(`pipelineId=${broken}&state=open`)).items).toEqual([])
    await problem(await post(`/v1/dead-letters/${letter.id}/dismiss`), 409)
  })

  it('are listed by pages and filters, and dismissed with a reason', async () => {
    const globex = await here.tenant()
    const first = await dividing(globex)
    const second = await dividing(globex)
    await first.feed(0)
    await second.feed(0)
    for (const { broken } of [first, first, second]) await finished(globex, broken)
    const all = (await list('', globex)).items
    expect(all).toHaveLength(3)
    const page = await list('limit=2', globex)
    expect(page.items).toEqual(all.slice(0, 2))
    const rest = await list(`limit=2&cursor=${page.nextCursor}`, globex)
    expect([rest.items, rest.nextCursor]).toEqual([all.slice(2), undefined])
    expect((await list(`pipelineId=${second.broken}`, globex)).items).toEqual(all.slice(0, 1))
    expect((await list('code=connection_refused', globex)).items).toEqual([])
    expect((await list('since=2999-01-01T00:00:00Z', globex)).items).toEqual([])
    expect(await paths(await globex.fetch('/v1/dead-letters?since=yesterday'), 400)).toEqual(['since'])
    const id = all[0]?.id ?? ''
    const dismissed = await post(`/v1/dead-letters/${id}/dismiss`, { reason: 'nobody needs it' }, globex)
    expect(dismissed.status).toBe(204)
    expect(await json(await globex.fetch(`/v1/dead-letters/${id}`), 200)).toMatchObject({
      state: 'dismissed',
      reason: 'nobody needs it',
    })
    await problem(await post(`/v1/dead-letters/${id}/replay`, {}, globex), 409)
    await problem(await acme.fetch(`/v1/dead-letters/${id}`), 404)
    await problem(await post(`/v1/dead-letters/${id}/replay`), 404)
    await problem(await acme.fetch(`/v1/dead-letters/${madeUp(id)}`), 404)
    const reader = await keyFor(globex, ['runs:read'])
    await problem(await reader('/v1/dead-letters/replay', { method: 'POST', body: {} }), 403)
  })

  it('are replayed in bulk, each run exactly once, however often and by how many it is asked', async () => {
    const globex = await here.tenant()
    const { broken, feed } = await dividing(globex)
    await feed(0)
    const run = await finished(globex, broken)
    // As many more as if it had failed so often.
    await owner.query(
      `with made as (
         insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, finished_at)
         select tenant_id, left(id, -4) || lpad(n::text, 4, '0'), pipeline_id, version_id, state, trigger, parameters, started_by, 0, now()
         from runs, generate_series(1, 120) n where id = $1 returning tenant_id, id, pipeline_id),
       stepped as (
         insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state)
         select s.tenant_id, m.id, s.key, s.kind, s.position, s.needs, s.run_when, s.state from steps s, made m where s.run_id = $1)
       insert into dead_letters (tenant_id, id, run_id, pipeline_id, step_key, code, message, attempts)
       select m.tenant_id, app.new_id('dl'), m.id, m.pipeline_id, 'divides', 'sql_failed', 'x', 1 from made m`,
      [run.id],
    )
    await feed(1)
    type Replays = { replayed: { id: string; rerunOf: string }[]; refused: unknown[] }
    const ask = async (body: unknown) =>
      json<Replays>(await post('/v1/dead-letters/replay', body, globex), 202)
    expect((await ask({ filter: { code: 'connection_refused' } })).replayed).toEqual([])
    expect((await ask({ filter: { pipelineId: broken }, limit: 10 })).replayed).toHaveLength(10)
    const answers = await Promise.all([ask({ filter: { pipelineId: broken } }), ask({}), ask({})])
    const replayed = answers.flatMap((answer) => answer.replayed)
    expect(replayed).toHaveLength(111)
    expect(new Set(replayed.map(({ rerunOf }) => rerunOf)).size).toBe(111)
    expect(answers.flatMap((answer) => answer.refused)).toEqual([])
    expect((await ask({})).replayed).toEqual([])
    for (const { id } of replayed.slice(0, 5)) expect((await end(globex, id)).state).toBe('succeeded')
    const { rows } = await owner.query(
      `select count(*)::int as reruns, count(distinct rerun_of)::int as runs from runs where tenant_id = $1 and rerun_of is not null`,
      [globex.id],
    )
    expect(rows).toEqual([{ reruns: 121, runs: 121 }])
  })

  it('come of steps that die without a word too, and not of steps that are tried again', async () => {
    const globex = await here.tenant()
    const id = await pipeline(globex, 'steps:\n  - { id: rests, wait: { for: 3h } }\n')
    const runId = newId('run')
    await owner.query(
      `insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished, events, started_at)
       select tenant_id, $2, pipeline_id, id, 'running', 'manual', '{}', 'x', 1, 0, now() from pipeline_versions where pipeline_id = $1`,
      [id, runId],
    )
    await owner.query(
      `insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state, attempt, lease_until, claimed_by)
       values ($1, $2, 'rests', 'wait', 0, '{}', 'all_success', 'running', 13, now() - interval '1 s', 'dead')`,
      [globex.id, runId],
    )
    await owner.query(
      `insert into outbox (tenant_id, kind, payload, send_after) values ($1, 'run', $2, now())`,
      [globex.id, JSON.stringify({ runId })],
    )
    await here.services.send(globex.id, [{ job: 'run', payload: { tenantId: globex.id, runId } }])
    expect(await end(globex, runId)).toMatchObject({ state: 'failed', steps: [{ attempt: 14 }] })
    expect((await list('', globex)).items).toMatchObject([
      { runId, error: { code: 'crashed' }, attempts: 14, state: 'open' },
    ])
  })
})
