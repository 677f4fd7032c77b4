import { signal } from '@preact/signals'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { EventsModel, LogModel } from '../../web/src/pages/run/log-model.ts'
import { happenedWords, moreWords } from '../../web/src/pages/run/event-words.ts'
import { waitWords } from '../../web/src/pages/run/waits.ts'
import type { Step } from '../../web/src/pages/run/run.ts'
import { answers, origin, problem } from './answers.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the log of a run', () => {
  /** A log of so many lines, given out so many at a time. */
  function open(count: number, most = 2) {
    let lines = count
    let isThere = true
    const server = answers(({ search }) => {
      if (!isThere) return problem(503, 'unavailable')
      const after = Number(new URLSearchParams(search).get('after'))
      const items = Array.from({ length: lines }, (_, i) => ({ seq: i + 1 })).slice(after, after + most)
      return { body: { items, ...(after + most < lines ? { nextCursor: 'next' } : {}) } }
    })
    const told = signal(0)
    const filter = { step: 'load', level: 'warn', search: 'a b' } as const
    const model = new LogModel(newClient(server.fetch, origin), 'run_1', filter, told)
    const shown = () => {
      const { tail } = model
      return tail.value.state === 'ready' ? tail.value.value.items.map(({ seq }) => seq) : tail.value.state
    }
    const say = (now: number) => {
      lines = now
      told.value += 1
    }
    return { model, server, shown, say, answers: (is: boolean) => (isThere = is) }
  }

  it('is read with what narrows it, and on from its last line when there are more, at most once a second', async () => {
    const { model, server, shown, say } = open(1)
    await vi.advanceTimersByTimeAsync(0)
    expect(server.paths()).toEqual([
      'GET /v1/runs/run_1/logs?step=load&level=warn&search=a+b&limit=200&after=0',
    ])
    expect(shown()).toEqual([1])
    for (let i = 0; i < 10; i += 1) say(2)
    await vi.advanceTimersByTimeAsync(999)
    expect(server.asked).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(server.paths().at(-1)).toContain('after=1')
    expect(shown()).toEqual([1, 2])
    model[Symbol.dispose]()
    say(3)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(server.asked).toHaveLength(2)
  })

  it('waits to be asked for what is beyond one answer', async () => {
    const { model, server, shown, say } = open(5)
    await vi.advanceTimersByTimeAsync(0)
    say(6)
    await vi.advanceTimersByTimeAsync(5_000)
    expect([shown(), server.asked.length]).toEqual([[1, 2], 1])
    await model.more()
    await model.more()
    expect(shown()).toEqual([1, 2, 3, 4, 5, 6])
    model[Symbol.dispose]()
  })

  it('stays when it cannot be read on, and says so', async () => {
    const { model, shown, say, answers: answer } = open(1)
    await vi.advanceTimersByTimeAsync(0)
    answer(false)
    say(2)
    await vi.advanceTimersByTimeAsync(1_000)
    expect([shown(), model.problem.value?.status]).toEqual([[1], 503])
    answer(true)
    await model.more()
    expect([shown(), model.problem.value]).toEqual([[1, 2], undefined])
    model[Symbol.dispose]()
  })
})

it('asks for what happened in pages, not as a stream', async () => {
  const server = answers(() => ({ body: { items: [{ seq: 1 }] } }))
  const model = new EventsModel(newClient(server.fetch, origin), 'run_1', signal(0))
  await vi.advanceTimersByTimeAsync(0)
  expect(server.asked[0]?.headers.get('accept')).toBe('application/json')
  expect(server.paths()).toEqual(['GET /v1/runs/run_1/events?limit=200&after=0'])
  model[Symbol.dispose]()
})

it('says what a step waits for', () => {
  const words = (change: Partial<Step>) =>
    waitWords({ key: 'one', kind: 'wait', state: 'waiting', attempt: 1, ...change } as Step)
  expect(words({ state: 'succeeded' })).toBeUndefined()
  expect(words({ state: 'pending' })).toBe('the steps before it')
  expect(words({ state: 'ready', attempt: 0 })).toBe('a free place')
  expect(words({ state: 'ready' })).toBe('its next attempt')
  expect(words({ waitsFor: { approval: { roles: ['owner', 'admin'] } } })).toBe('approval by owner or admin')
  expect(words({ waitsFor: { callback: { url: 'https://x' } } })).toBe('an answer at https://x')
  expect(words({ kind: 'map', items: { total: 9, open: 4 } })).toBe('4 of its 9 items')
  expect(words({ kind: 'pipeline' })).toBe('the run that it has started')
  expect(words({})).toBe('its time, or what it looks for')
})

it('says what happened in words', () => {
  expect(happenedWords('run.queued', {})).toBe('the run is queued')
  expect(happenedWords('run.succeeded_with_warnings', {})).toBe('the run has succeeded with warnings')
  expect(happenedWords('step.failed', { step: 'load' })).toBe('load has failed')
  expect(happenedWords('step.running', { step: 'each', item: 3 })).toBe('each (item 3) is at work')
  const error = { code: 'timeout', message: 'Too slow.' }
  expect(moreWords({ attempt: 2, error, delayMs: 2_000 })).toBe(': attempt 2; Too slow.; again in 2.0 s')
  expect(moreWords({ attempt: 1 })).toBe('')
  expect(moreWords({ reason: 'It was done by hand.' })).toBe(': because: It was done by hand.')
})
