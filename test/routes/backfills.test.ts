import { describe, expect, it } from 'vitest'
import { keyFor, paths, problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Backfill = { id: string; state: string; cron: string; timezone: string; runs: Record<string, number> }
const steps = 'steps: [{ id: one, sql: "select ${params.n} as n", into: filled }]\n'
const parameters = 'parameters: { n: { type: integer, default: 3 } }\n'
const start = (tenant: Tenant, pipelineId: string, body: object) =>
  tenant.fetch(`/v1/pipelines/${pipelineId}/backfills`, { method: 'POST', body })
const read = async (tenant: Tenant, id: string) =>
  json<Backfill>(await tenant.fetch(`/v1/backfills/${id}`), 200)
const move = (tenant: Tenant, id: string, how: string) =>
  tenant.fetch(`/v1/backfills/${id}/${how}`, { method: 'POST' })
const finished = (tenant: Tenant, id: string) =>
  until('the backfill to finish', async () => {
    const backfill = await read(tenant, id)
    return backfill.state === 'finished' && backfill
  })

describe('a backfill', () => {
  it('runs the pipeline for each partition of a range, and tells how far it is', async () => {
    const pipelineId = await pipeline(acme, parameters + steps)
    const made = await start(acme, pipelineId, {
      from: '2026-03-27',
      to: '2026-03-30',
      by: 'day',
      timezone: 'Europe/Berlin',
      concurrency: 2,
      order: 'newest',
      parameters: { n: 7 },
    })
    const backfill = await json<Backfill>(made, 201)
    expect(made.headers.get('location')).toBe(`/v1/backfills/${backfill.id}`)
    expect(backfill).toMatchObject({ cron: '0 0 * * *', timezone: 'Europe/Berlin', runs: { total: 4 } })
    const { runs } = await finished(acme, backfill.id)
    expect(runs).toEqual({
      total: 4,
      waiting: 0,
      running: 0,
      succeeded: 4,
      failed: 0,
      cancelled: 0,
      skipped: 0,
    })
    const started = await json<{ items: { trigger: string; parameters: object }[] }>(
      await acme.fetch(`/v1/runs?pipelineId=${pipelineId}`),
      200,
    )
    expect(started.items).toHaveLength(4)
    for (const run of started.items) expect(run).toMatchObject({ trigger: 'backfill', parameters: { n: 7 } })
    const again = await start(acme, pipelineId, {
      from: '2026-03-29T22:00:00Z',
      to: '2026-03-31',
      by: 'day',
      timezone: 'Europe/Berlin',
      skipSucceeded: true,
    })
    const second = await finished(acme, (await json<Backfill>(again, 201)).id)
    expect(second.runs).toMatchObject({ total: 2, skipped: 1, succeeded: 1 })
    // A run says what it stands for and what made it, and those of one backfill can be asked for.
    type OfBackfill = { items: { backfillId: string; scheduledFor: string }[] }
    const own = await json<OfBackfill>(await acme.fetch(`/v1/runs?backfillId=${backfill.id}`), 200)
    expect(own.items.map(({ scheduledFor }) => scheduledFor)).toEqual([
      '2026-03-26T23:00:00.000Z',
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ])
    expect(new Set(own.items.map(({ backfillId }) => backfillId))).toEqual(new Set([backfill.id]))
    const list = await json<{ items: Backfill[] }>(
      await acme.fetch(`/v1/pipelines/${pipelineId}/backfills`),
      200,
    )
    expect(list.items.map(({ id }) => id)).toEqual([second.id, backfill.id])
  })

  it("goes by the pipeline's own schedule when nothing else is said", async () => {
    const pipelineId = await pipeline(
      acme,
      `triggers: [{ cron: "15 6 * * 1-5", timezone: Europe/Berlin }]\n${parameters}${steps}`,
    )
    const made = await start(acme, pipelineId, { from: '2026-01-01', to: '2026-01-31', concurrency: 1 })
    const { id, runs, ...rest } = await json<Backfill>(made, 201)
    expect([rest.cron, runs['total']]).toEqual(['15 6 * * 1-5', 22])
    expect((await json<Backfill>(await move(acme, id, 'cancel'), 202)).state).toBe('cancelled')
  })

  it('is paused, resumed and cancelled', async () => {
    const pipelineId = await pipeline(acme, 'steps: [{ id: one, wait: { for: 1h } }]\n')
    const made = await start(acme, pipelineId, {
      from: '2026-01-01',
      to: '2026-12-31',
      by: 'day',
      concurrency: 3,
    })
    const { id } = await json<Backfill>(made, 201)
    expect((await json<Backfill>(await move(acme, id, 'pause'), 200)).state).toBe('paused')
    await problem(await move(acme, id, 'pause'), 409)
    expect((await json<Backfill>(await move(acme, id, 'resume'), 200)).runs).toMatchObject({
      running: 3,
      waiting: 362,
    })
    await json<Backfill>(await move(acme, id, 'cancel'), 202)
    const over = await until('its runs to stop', async () => {
      const backfill = await read(acme, id)
      return backfill.runs['running'] === 0 && backfill
    })
    expect(over).toMatchObject({ state: 'cancelled', runs: { cancelled: 3, waiting: 362 } })
    await problem(await move(acme, id, 'resume'), 409)
  })

  it('names what is wrong with it', async () => {
    const pipelineId = await pipeline(acme, parameters + steps)
    const wrong = async (body: object) => paths(await start(acme, pipelineId, body), 422)
    const range = { from: '2026-01-01', to: '2026-01-02' }
    expect(await wrong({ from: 'yesterday', to: '2026-02-30x', by: 'day' })).toEqual(['from', 'to'])
    expect(await wrong(range)).toEqual(['by'])
    expect(await wrong({ ...range, by: 'day', cron: '* * * * *' })).toEqual(['cron'])
    expect(await wrong({ ...range, cron: '61 * * * *' })).toEqual(['cron'])
    expect(await wrong({ ...range, by: 'day', timezone: 'Mars/Olympus' })).toEqual(['timezone'])
    expect(await wrong({ from: '2026-02-01', to: '2026-01-01', by: 'day' })).toEqual(['to'])
    expect(await wrong({ from: '2026-01-02', to: '2026-01-03', by: 'month' })).toEqual(['to'])
    expect(await wrong({ from: '2026-01-01', to: '2026-01-10', cron: '* * * * *' })).toEqual(['to'])
    expect(await wrong({ ...range, by: 'day', parameters: { m: 1 } })).toEqual(['parameters.m'])
    expect(await wrong({ ...range, by: 'day', concurrency: 101 })).toEqual(['concurrency'])
  })

  it("is out of another tenant's reach, and needs the right to run", async () => {
    const pipelineId = await pipeline(acme, 'steps: [{ id: one, wait: { for: 1h } }]\n')
    const range = { from: '2026-01-01', to: '2026-01-02', by: 'day' }
    await problem(await start(globex, pipelineId, range), 404)
    const { id } = await json<Backfill>(await start(acme, pipelineId, range), 201)
    await problem(await globex.fetch(`/v1/backfills/${id}`), 404)
    await problem(await move(globex, id, 'cancel'), 404)
    expect((await json<{ items: Backfill[] }>(await globex.fetch('/v1/backfills'), 200)).items).toEqual([])
    const few = await keyFor(acme, ['runs:read'])
    await problem(await few(`/v1/pipelines/${pipelineId}/backfills`, { method: 'POST', body: range }), 403)
    await problem(await few(`/v1/backfills/${id}/cancel`, { method: 'POST' }), 403)
    await json(await move(acme, id, 'cancel'), 202)
  })
})
