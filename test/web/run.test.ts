import { signal } from '@preact/signals'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { RunModel } from '../../web/src/pages/run/model.ts'
import {
  afterEvent,
  afterProgress,
  eventTypes,
  type Run,
  type RunEvent,
  type Step,
} from '../../web/src/pages/run/run.ts'
import { meanSpeed, speedometer } from '../../web/src/pages/run/speed.ts'
import { runMoves, stepMoves } from '#src/domain/run-state.ts'
import { answers, origin, problem } from './answers.ts'

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString()
const step = (change: Partial<Step> = {}): Step =>
  ({
    key: 'read',
    kind: 'extract',
    state: 'ready',
    attempt: 0,
    rowsIn: 0,
    rowsOut: 0,
    rowsRejected: 0,
    ...change,
  }) as Step
const newRun = (change: Partial<Run> = {}): Run => ({
  id: 'run_1',
  pipelineId: 'pip_1',
  pipelineName: 'flights',
  version: 1,
  state: 'queued',
  trigger: 'manual',
  priority: 0,
  parameters: {},
  startedBy: 'usr_1',
  createdAt: at(0),
  steps: [step(), step({ key: 'check', kind: 'check', state: 'pending' })],
  ...change,
})

describe('a run, after what happened', () => {
  const after = (run: Run, ...events: RunEvent[]) => events.reduce(afterEvent, run)

  it('begins, works, ends', () => {
    const run = after(
      newRun(),
      { type: 'run.running', at: at(1) },
      { type: 'step.running', step: 'read', attempt: 1, at: at(2) },
      { type: 'step.succeeded', step: 'read', at: at(5), rowsIn: 10, rowsOut: 9 },
      { type: 'step.ready', step: 'check', at: at(5) },
      { type: 'step.running', step: 'check', attempt: 1, at: at(6) },
      { type: 'step.failed', step: 'check', at: at(7), error: { code: 'quality', message: 'Too few.' } },
      { type: 'run.failed', at: at(8) },
    )
    expect(run).toMatchObject({ state: 'failed', startedAt: at(1), finishedAt: at(8), durationMs: 7_000 })
    expect(run.steps).toEqual([
      step({
        state: 'succeeded',
        attempt: 1,
        rowsIn: 10,
        rowsOut: 9,
        startedAt: at(2),
        finishedAt: at(5),
        durationMs: 3_000,
      }),
      step({
        key: 'check',
        kind: 'check',
        state: 'failed',
        attempt: 1,
        startedAt: at(6),
        finishedAt: at(7),
        durationMs: 1_000,
        error: { code: 'quality', message: 'Too few.' },
      }),
    ])
  })

  it('does not go back when the stream begins with what it shows already', () => {
    const shown = newRun({
      state: 'cancelling',
      steps: [
        step({ state: 'succeeded', attempt: 2, rowsOut: 9 }),
        step({ key: 'check', state: 'waiting', attempt: 1 }),
      ],
    })
    const old: RunEvent[] = [
      { type: 'run.queued', at: at(0) },
      { type: 'run.running', at: at(1) },
      { type: 'step.running', step: 'read', attempt: 1, at: at(1) },
      { type: 'step.retrying', step: 'read', at: at(2) },
      { type: 'step.running', step: 'read', attempt: 2, at: at(3) },
      { type: 'step.ready', step: 'check', at: at(4) },
      { type: 'step.running', step: 'check', attempt: 1, at: at(4) },
    ]
    expect(after(shown, ...old)).toEqual(shown)
    const over = newRun({ state: 'succeeded' })
    expect(after(over, { type: 'run.cancelling', at: at(9) }, { type: 'run.failed', at: at(9) })).toEqual(
      over,
    )
  })

  it('is not moved by what happens to single items of its maps', () => {
    const shown = newRun({ steps: [step({ key: 'each', kind: 'map', state: 'waiting', attempt: 1 })] })
    expect(after(shown, { type: 'step.succeeded', step: 'each', mapIndex: 3, at: at(2) })).toEqual(shown)
  })

  it('shows rows of the steps that are at work, and of no other', () => {
    const shown = newRun({
      steps: [step({ state: 'running' }), step({ key: 'check', state: 'succeeded', rowsIn: 7 })],
    })
    const counted = { rowsIn: 5, rowsOut: 4, rowsRejected: 1 }
    const run = afterProgress(shown, [
      { key: 'read', ...counted },
      { key: 'check', ...counted },
    ])
    expect(run.steps.map(({ rowsIn, rowsOut, rowsRejected }) => [rowsIn, rowsOut, rowsRejected])).toEqual([
      [5, 4, 1],
      [7, 0, 0],
    ])
  })

  it('listens to every state that a run and a step can come to', () => {
    const states = [
      ...Object.keys(runMoves).map((state) => `run.${state}`),
      ...Object.keys(stepMoves).map((state) => `step.${state}`),
    ]
    // What never happens to a run while somebody follows it: it begins so, or waits without an event of its own.
    const silent = ['run.waiting', 'step.pending']
    expect([...eventTypes].sort()).toEqual(
      [...states.filter((type) => !silent.includes(type)), 'step.retrying', 'step.continued'].sort(),
    )
  })
})

describe('rows a second', () => {
  const seen = (rows: number) => [{ key: 'read', rowsIn: rows, rowsOut: 0, rowsRejected: 0 }]

  it('are those of the last five seconds', () => {
    const speedOf = speedometer()
    expect(speedOf(seen(0), 0).size).toBe(0)
    expect(speedOf(seen(10), 100).size).toBe(0)
    expect(speedOf(seen(1_000), 1_000).get('read')).toBe(1_000)
    for (let ms = 1_250; ms <= 11_000; ms += 250) speedOf(seen(1_000), ms)
    expect(speedOf(seen(1_000), 11_250).get('read')).toBe(0)
  })

  it('begin anew when a step does', () => {
    const speedOf = speedometer()
    speedOf(seen(900), 0)
    expect(speedOf(seen(100), 1_000).size).toBe(0)
    expect(speedOf(seen(300), 2_000).get('read')).toBe(200)
  })

  it('are the mean of a step that is over', () => {
    expect(meanSpeed(step({ rowsIn: 100, rowsOut: 300, durationMs: 2_000 }))).toBe(150)
    expect(meanSpeed(step({ durationMs: 2_000 }))).toBeUndefined()
    expect(meanSpeed(step({ rowsIn: 100 }))).toBeUndefined()
  })
})

/** A stream that a test speaks through. */
class Stream extends EventTarget {
  readyState = 1
  readonly url: string
  constructor(url: string) {
    super()
    this.url = url
  }
  say(type: string, data: object, lastEventId = '') {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }))
  }
  refuse() {
    this.readyState = 2
    this.dispatchEvent(new Event('error'))
  }
  close() {
    this.readyState = 2
  }
}

describe('a run on a page', () => {
  beforeEach(() => void vi.useFakeTimers({ now: new Date(at(0)) }))
  afterEach(() => void vi.useRealTimers())

  async function open(first = newRun()) {
    let run: Run | undefined = first
    const quality = [
      { stepKey: 'check', rule: 'unique', onFail: 'warn', checked: 9, failed: 0, passed: true },
    ]
    const server = answers(({ path }) => {
      if (path.endsWith('/quality')) return { body: { items: quality } }
      if (path.endsWith('/cancel')) return problem(409, 'conflict', 'The run is failed already.')
      return run ? { body: run } : problem(503, 'unavailable')
    })
    const streams: Stream[] = []
    const visible = signal(true)
    const openStream = (url: string) => {
      const stream = new Stream(url)
      streams.push(stream)
      return stream
    }
    const model = new RunModel(newClient(server.fetch, origin), { visible, openStream }, 'run_1')
    await vi.advanceTimersByTimeAsync(0)
    const shown = () => (model.run.value.state === 'ready' ? model.run.value.value : undefined)
    const looks = () => server.paths().filter((path) => path === 'GET /v1/runs/run_1').length
    return { model, server, streams, visible, shown, looks, answer: (next: Run | undefined) => (run = next) }
  }

  it('moves with its events, is read again at most every two seconds, and to the end', async () => {
    const { model, streams, shown, looks, answer } = await open()
    expect(streams.map(({ url }) => url)).toEqual(['/v1/runs/run_1/events'])
    const [stream] = streams
    stream?.say('run.running', { seq: 2, at: at(0) }, '2')
    expect(shown()?.state).toBe('running')
    answer(newRun({ state: 'running', startedAt: at(0) }))
    for (let seq = 3; seq < 43; seq += 1) {
      stream?.say('step.continued', { seq, at: at(1), step: 'read' }, String(seq))
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(looks()).toBe(3)

    stream?.say('progress', { steps: [{ key: 'read', rowsIn: 100, rowsOut: 100, rowsRejected: 0 }] })
    await vi.advanceTimersByTimeAsync(500)
    stream?.say('progress', { steps: [{ key: 'read', rowsIn: 600, rowsOut: 600, rowsRejected: 0 }] })
    expect(shown()?.steps[0]?.rowsIn).toBe(600)
    expect(model.speeds.value.get('read')).toBe(1_000)

    const over = newRun({
      state: 'succeeded',
      finishedAt: at(9),
      steps: [
        step({ state: 'succeeded', rowsOut: 1_000 }),
        step({ key: 'check', kind: 'check', state: 'succeeded' }),
      ],
    })
    answer(over)
    const before = looks()
    stream?.say('run.succeeded', { seq: 99, at: at(9) }, '99')
    await vi.advanceTimersByTimeAsync(0)
    expect(stream?.readyState).toBe(2)
    expect(shown()).toEqual(over)
    expect(model.isLive.value).toBe(false)
    expect(model.quality.value).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looks()).toBe(before + 1)
    expect(streams).toHaveLength(1)
    model[Symbol.dispose]()
  })

  it('is not followed when it is over, nor after its page was left', async () => {
    const over = await open(newRun({ state: 'failed' }))
    expect(over.streams).toHaveLength(0)
    over.visible.value = false
    over.visible.value = true
    expect(over.looks()).toBe(1)
    over.model[Symbol.dispose]()

    const { model, streams, looks } = await open()
    streams[0]?.say('step.continued', { at: at(0), step: 'read' }, '7')
    model[Symbol.dispose]()
    expect(streams[0]?.readyState).toBe(2)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looks()).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is followed only while somebody sees it, and from where it was', async () => {
    const { model, streams, visible, looks } = await open()
    streams[0]?.say('step.continued', { at: at(0), step: 'read' }, '7')
    visible.value = false
    expect(streams[0]?.readyState).toBe(2)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looks()).toBe(1)
    visible.value = true
    await vi.advanceTimersByTimeAsync(0)
    expect(looks()).toBe(2)
    expect(streams[1]?.url).toBe('/v1/runs/run_1/events?after=7')
    model[Symbol.dispose]()
  })

  it('is followed again when the stream was refused, with longer and longer pauses', async () => {
    const { model, streams, looks } = await open()
    for (const stream of [0, 1, 2]) {
      streams[stream]?.refuse()
      await vi.advanceTimersByTimeAsync(2_000 * 2 ** stream)
      expect(streams).toHaveLength(stream + 2)
      expect(looks()).toBe(stream + 2)
    }
    model[Symbol.dispose]()
  })

  it('is followed again also when it was to be read at that moment anyway', async () => {
    const { model, streams } = await open()
    streams[0]?.say('step.continued', { at: at(0), step: 'read' }, '7')
    streams[0]?.refuse()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(streams.map(({ url }) => url)).toEqual(['/v1/runs/run_1/events', '/v1/runs/run_1/events?after=7'])
    streams[1]?.say('step.continued', { at: at(2), step: 'read' }, '8')
    streams[1]?.refuse()
    model[Symbol.dispose]()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('has its log and events read to the end when it is found to be over before its stream has said so', async () => {
    const { model, streams, answer } = await open(newRun({ state: 'running' }))
    const told = model.told.value
    await model.look()
    expect(model.told.value).toBe(told)
    answer(newRun({ state: 'succeeded' }))
    await model.look()
    expect(streams[0]?.readyState).toBe(2)
    expect(model.told.value).toBe(told + 1)
    await model.look()
    expect(model.told.value).toBe(told + 1)
    model[Symbol.dispose]()
  })

  it('is done again once, however often that is sent until it is answered', async () => {
    let isAway = true
    const server = answers(({ method }) => {
      if (method === 'GET') return { body: newRun({ state: 'failed' }) }
      return isAway ? new Error('offline') : { body: { id: 'run_2', state: 'queued' } }
    })
    const openStream = (url: string) => new Stream(url)
    const model = new RunModel(
      newClient(server.fetch, origin),
      { visible: signal(true), openStream },
      'run_1',
    )
    const again = { from: 'failed', version: 'same' } as const
    expect((await model.rerun(again)).state).toBe('failed')
    isAway = false
    expect((await model.rerun(again)).state).toBe('ready')
    await model.rerun(again)
    const posts = server.asked.filter(({ method }) => method === 'POST')
    const keys = posts.map(({ headers }) => headers.get('Idempotency-Key'))
    expect(posts.map(({ body }) => JSON.parse(body))).toEqual([again, again, again])
    expect(keys[0]).toMatch(/^[\da-f-]{36}$/)
    expect(keys[1]).toBe(keys[0])
    expect(keys[2]).not.toBe(keys[0])
    model[Symbol.dispose]()
  })

  it('stays as it is when it cannot be read again, and is read until it can', async () => {
    const { model, streams, shown, answer } = await open()
    answer(undefined)
    streams[0]?.say('step.continued', { at: at(0), step: 'read' }, '7')
    await vi.advanceTimersByTimeAsync(3_000)
    expect(shown()).toEqual(newRun())
    answer(newRun({ version: 2 }))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(shown()?.version).toBe(2)
    model[Symbol.dispose]()
  })

  it('says why it cannot be cancelled', async () => {
    const { model, looks } = await open()
    const answer = await model.cancel()
    expect(answer.state === 'failed' && answer.problem.detail).toBe('The run is failed already.')
    expect(looks()).toBe(2)
    model[Symbol.dispose]()
  })

  it('says until when its steps wait, as long as they do', async () => {
    const { model, streams } = await open(newRun({ state: 'running' }))
    const [stream] = streams
    stream?.say('step.waiting', { at: at(0), step: 'read', delayMs: 60_000 }, '3')
    stream?.say('step.waiting', { at: at(0), step: 'read', mapIndex: 2, delayMs: 5_000 }, '4')
    stream?.say('step.retrying', { at: at(1), step: 'check', delayMs: 2_000 }, '5')
    expect(Object.fromEntries(model.untils.value)).toEqual({ read: at(60), check: at(3) })
    stream?.say('step.running', { at: at(3), step: 'check', attempt: 2 }, '6')
    expect(Object.fromEntries(model.untils.value)).toEqual({ read: at(60) })
    const told = model.told.value
    stream?.say('log', { seq: 1, message: 'Hello.' }, '6.1')
    expect(model.told.value).toBe(told + 1)
    model[Symbol.dispose]()
  })

  it('sends what people do to it as they said it, and is read again', async () => {
    const { model, server, looks } = await open(newRun({ state: 'running' }))
    await model.markStep('each.parts', { as: 'failed', reason: 'because' })
    await model.decide('each', { item: 2 }, false, '  ')
    await model.decide('each', { outer: 1, item: 2 }, true, ' fine ')
    await model.rerun({ from: 'failed', version: 'current' })
    const sent = server.asked.filter(({ method }) => method === 'POST')
    expect(sent.map(({ path, body }) => [path.replace('/v1/runs/run_1/', ''), JSON.parse(body)])).toEqual([
      ['steps/each.parts/mark', { as: 'failed', reason: 'because' }],
      ['steps/each/reject', { item: 2 }],
      ['steps/each/approve', { outer: 1, item: 2, comment: 'fine' }],
      ['rerun', { from: 'failed', version: 'current' }],
    ])
    expect(looks()).toBe(4)
    model[Symbol.dispose]()
  })
})
