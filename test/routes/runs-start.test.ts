import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { paths, problem } from '#test/support/answers.ts'
import { end, json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let typed: string
let plain: string
beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  plain = await pipeline(acme, 'steps:\n  - { id: one, sql: select 1 as n, into: ones }\n')
  typed = await pipeline(
    acme,
    `parameters:
  since: { type: date }
  most: { type: integer, default: 7 }
  share: { type: number, default: 0.5 }
  dry: { type: boolean, default: false }
  place: { type: text, default: "Zürich 'x' $1" }
  at: { type: timestamp, default: "2024-01-01T00:00:00Z" }
steps:
  - id: told
    sql: select \${params.since} as since, \${params.most} as most, \${params.share} as share, \${params.dry} as dry, \${params.place} as place, \${params.at} as at
    into: told
`,
  )
})
afterAll(() => here.close())

type Started = { id: string; state: string; pipelineId: string }
const post = (body: unknown, headers: Record<string, string> = {}) =>
  acme.fetch('/v1/runs', { method: 'POST', body, headers })

describe('starting a run', () => {
  it('answers at once with where to look', async () => {
    const answer = await post({ pipelineId: plain })
    const started = await json<Started>(answer, 202)
    expect(started).toEqual({ id: expect.stringMatching(/^run_/), state: 'queued', pipelineId: plain })
    expect(answer.headers.get('location')).toBe(`/v1/runs/${started.id}`)
    expect((await end(acme, started.id)).state).toBe('succeeded')
  })

  it('hands over its parameters as the types that they were declared with', async () => {
    const { id } = await json<Started>(
      await post({ pipelineId: typed, parameters: { since: '2001-02-28', most: 9 } }),
      202,
    )
    expect((await end(acme, id)).state).toBe('succeeded')
    const { parameters } = await json<{ parameters: object }>(await acme.fetch(`/v1/runs/${id}`), 200)
    expect(parameters).toEqual({
      since: '2001-02-28',
      most: 9,
      share: 0.5,
      dry: false,
      place: "Zürich 'x' $1",
      at: '2024-01-01T00:00:00Z',
    })
    const { items } = await json<{ items: { id: string; name: string }[] }>(
      await acme.fetch('/v1/datasets'),
      200,
    )
    const told = items.find(({ name }) => name === 'told')
    const seen = await json<{ columns: { type: string }[]; rows: string[][] }>(
      await acme.fetch(`/v1/datasets/${told?.id}/preview`),
      200,
    )
    expect(seen.columns.map(({ type }) => type)).toEqual([
      'date',
      'bigint',
      'double',
      'boolean',
      'text',
      'timestamptz',
    ])
    expect(seen.rows).toEqual([
      ['2001-02-28', '9', '0.5', 'false', "Zürich 'x' $1", '2024-01-01 00:00:00+00'],
    ])
  })

  it.each([
    [undefined, ['parameters.since']],
    [{}, ['parameters.since']],
    [{ sinse: '2001-01-01' }, ['parameters.sinse', 'parameters.since']],
    [{ since: '2001-02-30' }, ['parameters.since']],
    [{ since: null }, ['parameters.since']],
    [{ since: '2001-01-01', most: '7' }, ['parameters.most']],
    [
      { since: '2001-01-01', most: 1.5, share: 'x', dry: 1, place: {}, at: 'noon' },
      ['most', 'share', 'dry', 'place', 'at'].map((name) => `parameters.${name}`),
    ],
    [{ since: '2001-01-01', constructor: 1 }, ['parameters.constructor']],
  ])('refuses the parameters %j', async (parameters, wanted) => {
    const answer = await post({ pipelineId: typed, ...(parameters ? { parameters } : {}) })
    expect((await paths(answer, 422)).toSorted()).toEqual(wanted.toSorted())
  })

  it('refuses what does not describe a run', async () => {
    expect(await paths(await post({ pipelineId: 'x', state: 'succeeded' }), 422)).toEqual([
      'pipelineId',
      'state',
    ])
    expect(await paths(await post({}), 422)).toEqual(['pipelineId'])
    expect(await paths(await post({ pipelineId: plain, parameters: [] }), 422)).toEqual(['parameters'])
    expect(await paths(await post({ pipelineId: plain, parameters: { x: 1 } }), 422)).toEqual([
      'parameters.x',
    ])
    await problem(
      await acme.fetch('/v1/runs', {
        method: 'POST',
        body: '{',
        headers: { 'Content-Type': 'application/json' },
      }),
      400,
    )
    await problem(
      await acme.fetch('/v1/runs', { method: 'POST', body: '{}', headers: { 'Content-Type': 'text/plain' } }),
      415,
    )
    const half = await pipeline(
      acme,
      'parameters: { x: { type: text } }\nsteps:\n  - { id: one, wait: { for: 1h }, if: params.x == "" }\n',
    )
    await problem(
      await acme.fetch('/v1/runs', {
        method: 'POST',
        body: `{"pipelineId": "${half}", "parameters": {"x": "\\ud800"}}`,
        headers: { 'Content-Type': 'application/json' },
      }),
      422,
    )
    const large = { pipelineId: plain, parameters: { x: 'x'.repeat(1_100_000) } }
    await problem(await post(large), 413)
  })

  it('happens once for one Idempotency-Key, however often and at once it is asked', async () => {
    const counted = await pipeline(acme, 'steps:\n  - { id: one, wait: { for: 1h } }\n')
    const headers = { 'Idempotency-Key': `"${crypto.randomUUID()}"` }
    const answers = await Promise.all(Array.from({ length: 8 }, () => post({ pipelineId: counted }, headers)))
    expect(answers.every(({ status }) => status === 202 || status === 409)).toBe(true)
    const last = await post({ pipelineId: counted }, headers)
    expect(last.headers.get('idempotency-replayed')).toBe('true')
    const { id } = await json<Started>(last, 202)
    expect(last.headers.get('location')).toBe(`/v1/runs/${id}`)
    const { items } = await json<{ items: object[] }>(await acme.fetch(`/v1/runs?pipelineId=${counted}`), 200)
    expect(items).toEqual([expect.objectContaining({ id })])
    await problem(await post({ pipelineId: plain }, headers), 422)
  })

  it('uses the version that is current, with the parameters that were checked for it', async () => {
    const id = await pipeline(acme, 'steps:\n  - { id: one, wait: { for: 1h } }\n', 'moving')
    const source =
      'apiVersion: weir/v1\nkind: Pipeline\nname: moving\nparameters: { n: { type: integer } }\nsteps: [{ id: one, wait: { for: 1h } }]\n'
    const headers = { 'Content-Type': 'application/yaml', 'If-Match': '*' }
    await json(await acme.fetch(`/v1/pipelines/${id}`, { method: 'PUT', headers, body: source }), 200)
    expect(await paths(await post({ pipelineId: id }), 422)).toEqual(['parameters.n'])
    const started = await json<Started>(await post({ pipelineId: id, parameters: { n: 1 } }), 202)
    const run = await json<{ version: number; pipelineName: string }>(
      await acme.fetch(`/v1/runs/${started.id}`),
      200,
    )
    expect(run).toMatchObject({ version: 2, pipelineName: 'moving', trigger: 'manual' })
  })
})
