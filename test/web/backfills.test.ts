import { signal } from '@preact/signals'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { progressOf, rangeWords, timesWords } from '../../web/src/pages/backfills/backfill.ts'
import { BackfillModel } from '../../web/src/pages/backfills/model.ts'
import { backfillOf, NewBackfillModel } from '../../web/src/pages/backfills/new-model.ts'
import { asked as askedOf } from '../../web/src/pages/runs/filter.ts'
import { RunsModel } from '../../web/src/pages/runs/model.ts'
import { answers, origin, problem } from './answers.ts'

const runs = { total: 9, waiting: 2, running: 1, succeeded: 3, failed: 1, cancelled: 1, skipped: 1 }

describe('a backfill on a page', () => {
  afterEach(() => void vi.useRealTimers())

  it('is looked at until it is over and none of its runs is at work', async () => {
    vi.useFakeTimers()
    let backfill = { id: 'bkf_1', state: 'running', runs }
    const server = answers(({ method }) => (method === 'GET' ? { body: backfill } : problem(409, 'conflict')))
    const model = new BackfillModel(newClient(server.fetch, origin), signal(true), 'bkf_1')
    await vi.advanceTimersByTimeAsync(4_000)
    expect(server.asked).toHaveLength(3)
    backfill = { ...backfill, state: 'cancelled' }
    expect((await model.move('pause')).state).toBe('failed')
    expect(model.backfill.value).toMatchObject({ state: 'ready', value: { state: 'cancelled' } })
    backfill = { ...backfill, runs: { ...runs, running: 0 } }
    await vi.advanceTimersByTimeAsync(2_000)
    const looks = server.asked.length
    await vi.advanceTimersByTimeAsync(20_000)
    expect(server.asked).toHaveLength(looks)
    model[Symbol.dispose]()
  })

  it('leads to its runs, and to no others', async () => {
    const server = answers(() => ({ body: { items: [] } }))
    const filter = askedOf({ backfillId: 'bkf_1', state: 'failed', pipelineId: 'garbage' })
    const model = new RunsModel(newClient(server.fetch, origin), signal(true), filter)
    await vi.waitFor(() => expect(model.runs.list.value.state).toBe('ready'))
    expect(
      server.asked.map(({ path, search }) => [path, Object.fromEntries(new URLSearchParams(search))]),
    ).toEqual([['/v1/runs', { state: 'failed', backfillId: 'bkf_1' }]])
    expect(askedOf({ state: 'nonsense', backfillId: 'garbage', pipelineId: 'pip_1' })).toEqual({
      pipelineId: 'pip_1',
    })
    model[Symbol.dispose]()
  })

  it('says how far it is, and for what', () => {
    expect(progressOf({ runs })).toEqual({ total: 9, done: 6, failed: 1, left: 3 })
    expect(rangeWords({ from: '2026-01-01', to: '2026-01-31' })).toBe('2026-01-01 to 2026-01-31')
    expect(rangeWords({ from: '2026-01-01', to: '2026-01-01' })).toBe('2026-01-01')
    expect(timesWords({ cron: '0 0 * * *', timezone: 'UTC' })).toBe('each day (UTC)')
    expect(timesWords({ cron: '15 6 * * 1', timezone: 'UTC' })).toBe('each time of 15 6 * * 1 (UTC)')
  })
})

describe('starting a backfill', () => {
  const asked = (typed: Record<string, string>) => backfillOf((name) => typed[name] ?? '', { n: 1 })

  it('asks for what was typed, and leaves to the server what was not', () => {
    expect(asked({ from: '2026-01-01', to: '2026-01-31', cut: 'hour', timezone: ' Europe/Berlin ' })).toEqual(
      {
        from: '2026-01-01',
        to: '2026-01-31',
        by: 'hour',
        timezone: 'Europe/Berlin',
        order: 'oldest',
        concurrency: 1,
        skipSucceeded: false,
        parameters: { n: 1 },
      },
    )
  })

  it('takes times as those of UTC, and the zone of a schedule from that', () => {
    const typed = { edges: 'times', from: '2026-01-01T06:15', to: '2026-01-01T07:15:30', timezone: 'UTC' }
    const more = { order: 'newest', concurrency: '5', skipSucceeded: 'yes' }
    expect(asked({ ...typed, ...more, cut: 'schedule' })).toEqual({
      from: '2026-01-01T06:15:00Z',
      to: '2026-01-01T07:15:30Z',
      order: 'newest',
      concurrency: 5,
      skipSucceeded: true,
      parameters: { n: 1 },
    })
    expect(asked({ ...typed, cut: 'cron', cron: ' 0 6 * * * ' })).toMatchObject({
      cron: '0 6 * * *',
      timezone: 'UTC',
    })
    expect(asked({ edges: 'times' })).toMatchObject({ from: '', to: '' })
  })

  it('shows the pipeline that was chosen last, whichever is there first', async () => {
    const found = new Map<string, () => void>()
    const server = answers(async ({ path }) => {
      const id = path.split('/').at(-1) ?? ''
      await new Promise<void>((resolve) => found.set(id, resolve))
      return { body: { id } }
    })
    const model = new NewBackfillModel(newClient(server.fetch, origin))
    const choices = [model.choose('pip_1'), model.choose('pip_2')]
    await vi.waitFor(() => expect(found.size).toBe(2))
    found.get('pip_2')?.()
    await choices[1]
    found.get('pip_1')?.()
    await choices[0]
    expect(model.pipeline.value).toMatchObject({ state: 'ready', value: { id: 'pip_2' } })
    await model.choose(undefined)
    expect(model.pipeline.value).toBeUndefined()
    model[Symbol.dispose]()
  })
})
