import { signal } from '@preact/signals'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { PipelineModel, typedParameters } from '../../web/src/pages/pipeline/model.ts'
import { triggerWords } from '../../web/src/pages/pipeline/trigger-words.ts'
import { answers, origin, problem } from './answers.ts'

describe('a pipeline on a page', () => {
  afterEach(() => void vi.useRealTimers())

  it('looks at its runs until it is left', async () => {
    vi.useFakeTimers()
    const server = answers(() => ({ body: { items: [] } }))
    const model = new PipelineModel(
      newClient(server.fetch, origin),
      { visible: signal(true), may: () => true },
      'pip_1',
    )
    await vi.advanceTimersByTimeAsync(5_000)
    expect(server.paths()).toEqual(Array.from({ length: 2 }, () => 'GET /v1/runs?pipelineId=pip_1&limit=10'))
    model[Symbol.dispose]()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(server.asked).toHaveLength(2)
  })
})

describe('starting a pipeline', () => {
  const keyOf = ({ headers }: { headers: Headers }) => headers.get('idempotency-key')

  it('again after no answer came carries the same key; anything else another', async () => {
    let reachable = false
    const server = answers(({ method }) => {
      if (method === 'GET') return problem(503, 'unavailable')
      return reachable
        ? { status: 202, body: { id: 'run_1', state: 'queued', pipelineId: 'pip_1' } }
        : new Error('offline')
    })
    const model = new PipelineModel(
      newClient(server.fetch, origin),
      { visible: signal(false), may: () => true },
      'pip_1',
    )
    expect(await model.start({ most: 1 })).toMatchObject({ state: 'failed', problem: { status: 0 } })
    await model.start({ most: 2 })
    reachable = true
    expect(await model.start({ most: 2 })).toMatchObject({ state: 'ready', value: { id: 'run_1' } })
    await model.start({ most: 2 })
    const starts = server.asked.filter(({ method }) => method === 'POST')
    expect(starts.map(({ body }) => (JSON.parse(body) as { parameters: object }).parameters)).toEqual([
      { most: 1 },
      { most: 2 },
      { most: 2 },
      { most: 2 },
    ])
    const [first, second, third, fourth] = starts.map(keyOf)
    expect(second).toBe(third)
    expect(new Set([first, second, fourth]).size).toBe(3)
    model[Symbol.dispose]()
  })

  it('gives the parameters the values that they take, and leaves out what is empty', () => {
    const typed: Record<string, string> = {
      text: '12',
      integer: '12',
      number: '1.5',
      boolean: 'false',
      date: '2026-01-31',
      timestamp: '2026-01-31T12:00:00Z',
      wrong: 'many',
    }
    const types = {
      text: 'text',
      integer: 'integer',
      number: 'number',
      boolean: 'boolean',
      date: 'date',
    } as const
    const parameters = {
      ...Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type }])),
      timestamp: { type: 'timestamp' as const },
      wrong: { type: 'integer' as const },
      empty: { type: 'integer' as const, default: 3 },
    }
    expect(typedParameters(parameters, (name) => typed[name] ?? '')).toEqual({
      text: '12',
      integer: 12,
      number: 1.5,
      boolean: false,
      date: '2026-01-31',
      timestamp: '2026-01-31T12:00:00Z',
      wrong: 'many',
    })
  })
})

describe('a pipeline that is paused', () => {
  it('is read again when it was, and whoever did it is known by name', async () => {
    let paused: object | undefined
    const server = answers(({ method, path }) => {
      if (path.endsWith('/members')) return { body: { items: [{ id: 'usr_1', email: 'ada@example.com' }] } }
      if (method === 'POST') {
        paused = path.endsWith('/pause') ? { at: '2026-01-01T00:00:00.000Z', by: 'usr_1' } : undefined
        return { body: { id: 'pip_1' } }
      }
      return { body: path.endsWith('/pip_1') ? { id: 'pip_1', ...(paused && { paused }) } : { items: [] } }
    })
    const browser = { visible: signal(false), may: (wanted: string) => wanted === 'members:read' }
    const model = new PipelineModel(newClient(server.fetch, origin), browser, 'pip_1')
    await model.load()
    expect(server.paths()).not.toContainEqual(expect.stringContaining('/members'))
    await model.pause({ reason: 'because' })
    expect(model.pipeline.value).toMatchObject({ value: { paused: { by: 'usr_1' } } })
    expect(model.names.value.get('usr_1')).toBe('ada@example.com')
    await model.resume()
    expect(model.pipeline.value).not.toHaveProperty('value.paused')
    model[Symbol.dispose]()
  })
})

it('says what starts a pipeline', () => {
  expect(triggerWords({ datasets: ['a'], when: 'any' })).toBe('a new version of the dataset a')
  expect(triggerWords({ datasets: ['a', 'b'], when: 'all' })).toBe(
    'a new version of all of the datasets a, b',
  )
  expect(triggerWords({ webhook: true })).toBe('an event that is sent to its webhook')
  expect(triggerWords({ pipeline: 'a', on: ['failed', 'succeeded'] })).toBe(
    'the pipeline a when it has failed or succeeded',
  )
})
