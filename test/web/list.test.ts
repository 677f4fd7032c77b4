import { signal } from '@preact/signals'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { listModel, type Listed } from '../../web/src/list.ts'
import type { Answered } from '../../web/src/load.ts'
import { PipelinesModel } from '../../web/src/pages/pipelines/model.ts'
import { RunsModel } from '../../web/src/pages/runs/model.ts'
import { answers, origin, problem } from './answers.ts'

type Item = { id: string; state?: string }
const items = (...ids: string[]): Item[] => ids.map((id) => ({ id }))
const ready = (list: Listed<Item>): Answered<Listed<Item>> => ({ state: 'ready', value: list })

describe('a list', () => {
  it('grows page by page, and nothing is in it twice', async () => {
    const pages: Record<string, Listed<Item>> = {
      first: { items: items('5', '4'), nextCursor: 'a' },
      a: { items: items('4', '3'), nextCursor: 'b' },
      b: { items: items('2') },
    }
    const model = listModel((cursor) => Promise.resolve(ready(pages[cursor ?? 'first'] ?? { items: [] })))
    await model.look()
    await model.more()
    expect(model.list.value).toEqual(ready({ items: items('5', '4', '3'), nextCursor: 'b' }))
    await model.more()
    expect(model.list.value).toEqual(ready({ items: items('5', '4', '3', '2') }))
    await model.more()
    expect(model.list.value).toEqual(ready({ items: items('5', '4', '3', '2') }))
  })

  it('shows what has changed in it without being read again', async () => {
    const model = listModel(() => Promise.resolve(ready({ items: items('3', '2', '1'), nextCursor: 'a' })))
    model.put({ id: '3' })
    expect(model.list.value).toEqual({ state: 'loading' })
    await model.look()
    model.put({ id: '2', state: 'failed' })
    model.drop('3')
    model.drop('9')
    expect(model.list.value).toEqual(
      ready({ items: [{ id: '2', state: 'failed' }, { id: '1' }], nextCursor: 'a' }),
    )
  })

  it('shows the newest first page above what was read further down', async () => {
    let first: Listed<Item> = { items: items('4', '3'), nextCursor: 'a' }
    const model = listModel((cursor) =>
      Promise.resolve(ready(cursor === 'a' ? { items: items('2', '1') } : first)),
    )
    await model.look()
    await model.more()
    first = { items: [{ id: '5' }, { id: '4', state: 'failed' }], nextCursor: 'c' }
    await model.look()
    expect(model.list.value).toEqual(
      ready({ items: [{ id: '5' }, { id: '4', state: 'failed' }, ...items('3', '2', '1')] }),
    )
  })

  it('leaves no gap: after too many new ones it begins again', async () => {
    let first: Listed<Item> = { items: items('2', '1') }
    const model = listModel(() => Promise.resolve(ready(first)))
    await model.look()
    first = { items: items('9', '8'), nextCursor: 'z' }
    await model.look()
    expect(model.list.value).toEqual(ready(first))
  })

  it('loses what is no longer there', async () => {
    let first: Listed<Item> = { items: items('3', '2', '1') }
    const model = listModel(() => Promise.resolve(ready(first)))
    await model.look()
    first = { items: items('3', '1') }
    await model.look()
    expect(model.list.value).toEqual(ready(first))
    first = { items: [] }
    await model.look()
    expect(model.list.value).toEqual(ready(first))
  })

  it('keeps what is shown when it cannot be read again, and says so until it can', async () => {
    const failed = {
      state: 'failed',
      problem: { status: 503, code: 'unavailable', detail: 'Not now.' },
    } as const
    let answer: Answered<Listed<Item>> = failed
    const model = listModel(() => Promise.resolve(answer))
    expect(await model.look()).toBe(false)
    expect(model.list.value).toEqual(failed)
    answer = ready({ items: items('1') })
    expect(await model.look()).toBe(true)
    answer = failed
    await model.look()
    expect(model.list.value).toEqual(ready({ items: items('1') }))
    expect(model.problem.value).toEqual(failed.problem)
    answer = ready({ items: items('1') })
    await model.look()
    expect(model.problem.value).toBeUndefined()
  })
})

describe('lists that are looked at', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('are read again every five seconds, only while somebody sees them, and not after they are left', async () => {
    const server = answers(() => ({ body: { items: [] } }))
    const visible = signal(true)
    const model = new RunsModel(newClient(server.fetch, origin), visible, { state: 'failed' })
    await vi.advanceTimersByTimeAsync(11_000)
    expect(server.paths()).toEqual(Array.from({ length: 3 }, () => 'GET /v1/runs?state=failed'))
    visible.value = false
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.asked).toHaveLength(3)
    visible.value = true
    await vi.advanceTimersByTimeAsync(0)
    expect(server.asked).toHaveLength(4)
    model[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.asked).toHaveLength(4)
    expect(server.asked.every(({ signal: of }) => of?.aborted)).toBe(true)
  })

  it('are read less and less often while they cannot be read', async () => {
    let works = false
    const server = answers(() => (works ? { body: { items: [] } } : problem(503, 'unavailable')))
    const model = new RunsModel(newClient(server.fetch, origin), signal(true), {})
    await vi.advanceTimersByTimeAsync(76_000)
    // At 0, 10, 30 and 70 seconds.
    expect(server.asked).toHaveLength(4)
    expect(model.runs.list.value).toMatchObject({ state: 'failed', problem: { code: 'unavailable' } })
    works = true
    await vi.advanceTimersByTimeAsync(55_000)
    expect(server.asked).toHaveLength(5)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(server.asked).toHaveLength(6)
    model[Symbol.dispose]()
  })

  it('show the newest run of each pipeline', async () => {
    const run = (id: string, pipelineId: string, state: string) => ({ id, pipelineId, state })
    const runs = [
      run('run_3', 'pip_1', 'failed'),
      run('run_2', 'pip_2', 'running'),
      run('run_1', 'pip_1', 'succeeded'),
    ]
    const server = answers(({ path }) => ({
      body: path === '/v1/runs' ? { items: runs, nextCursor: 'x' } : { items: [{ id: 'pip_1' }] },
    }))
    const model = new PipelinesModel(newClient(server.fetch, origin), signal(true))
    await vi.advanceTimersByTimeAsync(1)
    const { byPipeline, all } = model.lastRuns.value ?? { byPipeline: new Map(), all: true }
    expect([...byPipeline.values()].map(({ id }) => id)).toEqual(['run_3', 'run_2'])
    expect(all).toBe(false)
    model[Symbol.dispose]()
  })
})
