import { signal } from '@preact/signals'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { alertKinds } from '#src/domain/alert.ts'
import { newClient } from '../../web/src/api.ts'
import { readGranted } from '../../web/src/granted.ts'
import { AlertsModel } from '../../web/src/pages/alerts/model.ts'
import { alertWords, kindWords } from '../../web/src/pages/alerts/words.ts'
import { stepName, tooLateWords } from '../../web/src/pages/approvals/decide.ts'
import { ApprovalsModel } from '../../web/src/pages/approvals/model.ts'
import { fitting, isHeeded, listed } from '../../web/src/pages/dead-letters/filter.ts'
import { LettersModel, outcomeWords } from '../../web/src/pages/dead-letters/model.ts'
import { answers, origin, problem } from './answers.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())
const visible = signal(true)

describe('approvals', () => {
  const approval = (runId: string, rest: object = {}) => ({
    runId,
    pipelineId: 'pip_1',
    pipelineName: 'flights',
    step: 'ok',
    roles: ['owner'],
    ...rest,
  })

  async function open(refusal?: ReturnType<typeof problem>) {
    let waiting = [approval('run_1'), approval('run_2', { item: 1 }), approval('run_2', { item: 2 })]
    const server = answers(({ method }) => {
      if (method === 'GET') return { body: { items: waiting } }
      return refusal ?? { body: { approved: true, by: 'usr_1' } }
    })
    const model = new ApprovalsModel(newClient(server.fetch, origin), visible)
    await vi.advanceTimersByTimeAsync(0)
    const shown = () => {
      const { list } = model.approvals
      return list.value.state === 'ready' ? list.value.value.items : []
    }
    return { model, server, shown, leave: () => (waiting = []) }
  }

  it('wait no longer when they are decided, each item of a map by itself', async () => {
    const { model, server, shown } = await open()
    const [, first] = shown()
    if (first) await model.decide(first, true, 'well')
    expect(shown().map(({ runId, item }) => [runId, item])).toEqual([
      ['run_1', undefined],
      ['run_2', 2],
    ])
    expect(server.asked.at(-1)).toMatchObject({
      path: '/v1/runs/run_2/steps/ok/approve',
      body: JSON.stringify({ comment: 'well', item: 1 }),
    })
    model[Symbol.dispose]()
  })

  it('are looked at again when somebody else was first', async () => {
    const { model, shown, leave } = await open(problem(409, 'conflict'))
    const [first] = shown()
    leave()
    const answer = first && (await model.decide(first, false, ''))
    expect(answer?.state).toBe('failed')
    expect(shown()).toEqual([])
    expect(answer && tooLateWords('ok of flights', answer)).toBe('ok of flights: It is conflict.')
    model[Symbol.dispose]()
  })

  it('say on the page only what their dialog cannot, as it leaves with them', () => {
    const failed = (status: number) => ({
      state: 'failed' as const,
      problem: { status, code: 'conflict', detail: 'No.' },
    })
    expect(tooLateWords('ok', failed(409))).toBe('ok: No.')
    for (const answer of [failed(403), failed(0), { state: 'ready', value: {} } as const])
      expect(tooLateWords('ok', answer)).toBeUndefined()
  })

  it('name the step, and the item that it is about', () => {
    expect(stepName({ step: 'load' })).toBe('load')
    expect(stepName({ step: 'each', item: 2 })).toBe('each (item 2)')
    expect(stepName({ step: 'each.parts', item: 2, outer: 1 })).toBe('each.parts (item 2 of item 1)')
  })
})

describe('dead letters', () => {
  const letter = (id: string, runId: string) => ({ id, runId, stepKey: 'load' })

  async function open(answer: (id: string) => ReturnType<typeof problem> | Error | undefined) {
    let items = [letter('dl_1', 'run_1'), letter('dl_2', 'run_1'), letter('dl_3', 'run_2')]
    const server = answers(({ method, path }) => {
      if (method === 'GET') return { body: { items } }
      if (path.endsWith('/dead-letters/replay'))
        return { body: { replayed: [{ id: 'run_9' }], refused: [{ runId: 'run_2', refused: 'dropped' }] } }
      const id = path.split('/').at(-2) ?? ''
      return answer(id) ?? { body: { id: 'run_9', state: 'queued' } }
    })
    const model = new LettersModel(newClient(server.fetch, origin), visible, { code: 'timeout' })
    await vi.advanceTimersByTimeAsync(0)
    const posts = () => server.asked.filter(({ method }) => method === 'POST')
    return { model, server, posts, leave: (id: string) => (items = items.filter((one) => one.id !== id)) }
  }

  it('that are chosen are replayed once a run, and it is told which were not', async () => {
    const { model, server, posts } = await open((id) =>
      id === 'dl_3' ? problem(409, 'conflict') : undefined,
    )
    expect(server.paths()).toEqual(['GET /v1/dead-letters?code=timeout&state=open'])
    for (const id of ['dl_1', 'dl_2', 'dl_3']) model.choose(id, true)
    const answer = await model.replayChosen({ reason: 'mended' })
    expect(answer).toEqual({ state: 'ready', value: { done: 1, refused: ['It is conflict.'] } })
    expect(posts().map(({ path, body }) => [path, body])).toEqual([
      ['/v1/dead-letters/dl_2/replay', '{"reason":"mended"}'],
      ['/v1/dead-letters/dl_3/replay', '{"reason":"mended"}'],
    ])
    expect(model.chosen.value.size).toBe(0)
    model[Symbol.dispose]()
  })

  it('that are chosen are dismissed one by one, and stay chosen no more', async () => {
    const { model, posts } = await open(() => undefined)
    model.choose('dl_1', true)
    model.choose('dl_3', true)
    model.choose('dl_3', false)
    expect(await model.dismissChosen({})).toEqual({ state: 'ready', value: { done: 1, refused: [] } })
    expect(posts().map(({ path }) => path)).toEqual(['/v1/dead-letters/dl_1/dismiss'])
    model[Symbol.dispose]()
  })

  it('are left where nothing can be reached, which is no refusal', async () => {
    const { model, posts } = await open(() => new Error('offline'))
    for (const id of ['dl_1', 'dl_3']) model.choose(id, true)
    expect(await model.replayChosen({})).toMatchObject({ state: 'failed', problem: { status: 0 } })
    expect(posts()).toHaveLength(1)
    expect(model.picked.value.map(({ id }) => id)).toEqual(['dl_1', 'dl_3'])
    model[Symbol.dispose]()
  })

  it('that have left the list are not among the chosen any more', async () => {
    const { model, posts, leave } = await open(() => undefined)
    for (const id of ['dl_1', 'dl_3']) model.choose(id, true)
    expect(model.picked.value).toHaveLength(2)
    leave('dl_1')
    await model.letters.look()
    expect(model.picked.value.map(({ id }) => id)).toEqual(['dl_3'])
    await model.dismissChosen({})
    expect(posts().map(({ path }) => path)).toEqual(['/v1/dead-letters/dl_3/dismiss'])
    expect(model.picked.value).toEqual([])
    model[Symbol.dispose]()
  })

  it('that fit are not replayed together where the address asks for what cannot be heeded', () => {
    expect(isHeeded({})).toBe(true)
    expect(isHeeded({ pipelineId: 'pip_1', code: 'timeout', since: '2026-03-01' })).toBe(true)
    expect(isHeeded({ pipelineId: 'garbage' })).toBe(false)
    expect(isHeeded({ since: 'yesterday' })).toBe(false)
  })

  it('that fit are replayed together, also those that are not shown', async () => {
    const { model, posts } = await open(() => undefined)
    const answer = await model.replayAll({})
    expect(posts().map(({ body }) => body)).toEqual(['{"filter":{"code":"timeout"}}'])
    expect(answer).toEqual({
      state: 'ready',
      value: { done: 1, refused: ['The rows that it would read are not kept any more.'] },
    })
    model[Symbol.dispose]()
  })

  it('are asked for by what stands in the address, from the beginning of a day', () => {
    const since = new Date('2026-03-01T00:00:00').toISOString()
    expect(listed({})).toEqual({ state: 'open' })
    expect(listed({ state: 'any', pipelineId: 'nonsense' })).toEqual({})
    expect(listed({ state: 'replayed', pipelineId: 'pip_1', code: 'timeout', since: '2026-03-01' })).toEqual({
      state: 'replayed',
      pipelineId: 'pip_1',
      code: 'timeout',
      since,
    })
    expect(fitting({ state: 'replayed', since: 'yesterday' })).toEqual({})
  })

  it('say in a sentence what was done of them', () => {
    const words = (done: number, refused: string[]) => outcomeWords({ done, refused }, 'run', 'runs')
    expect(words(1, [])).toBe('1 run.')
    expect(words(0, ['No.'])).toBe('0 runs. Not done: No.')
    expect(words(2, ['No.', 'Never.', 'No.'])).toBe('2 runs. Not done: No. (2 times) Never.')
  })
})

describe('alerts', () => {
  const alert = (change: object) =>
    ({ kind: 'failed', detail: {}, pipelineName: 'flights', ...change }) as never

  it('of every kind are told in words', () => {
    expect(Object.keys(kindWords).sort()).toEqual([...alertKinds].sort())
    const words = alertKinds.map((kind) => alertWords(alert({ kind, level: 1, quota: 'runs' })))
    expect(new Set(words).size).toBe(alertKinds.length)
    for (const one of words) expect(one).not.toMatch(/undefined|null/)
    expect(alertWords(alert({ detail: { step: 'load', code: 'timeout', message: 'Too slow.' } }))).toBe(
      'flights failed at load: Too slow.',
    )
    expect(alertWords(alert({ kind: 'escalated', level: 2, detail: { withinMs: 60_000 } }))).toBe(
      'flights has used 3 times its time of 1 min 00 s.',
    )
    expect(alertWords(alert({ kind: 'quota', level: 80, quota: 'storageBytes' }))).toBe(
      '80 % of storageBytes is used.',
    )
  })

  it.each([
    ['open', []],
    [undefined, ['resolved']],
  ] as const)('that are resolved leave the list of the open ones (%s)', async (state, left) => {
    const server = answers(({ method }) =>
      method === 'GET'
        ? { body: { items: [{ id: 'alr_1', state: 'open' }] } }
        : { body: { id: 'alr_1', state: 'resolved' } },
    )
    const query = state === undefined ? {} : { state }
    const model = new AlertsModel(newClient(server.fetch, origin), { visible, may: () => false }, query)
    await vi.advanceTimersByTimeAsync(0)
    await model.resolve('alr_1')
    const { list } = model.alerts
    expect(list.value.state === 'ready' && list.value.value.items.map((one) => one.state)).toEqual(left)
    model[Symbol.dispose]()
  })
})

describe('what grants let somebody run', () => {
  it('are pipelines by themselves and those of a project, and not what they may only read', async () => {
    const server = answers(({ path, search }) => {
      if (path.endsWith('/pipelines'))
        return { body: { items: search.includes('prj_1') ? [{ id: 'pip_2' }] : [] } }
      const on = (kind: string, id: string, level: string) => ({
        resource: { kind, id },
        level,
        permissions: level === 'run' ? ['runs:read', 'runs:write'] : ['runs:read'],
      })
      const items = [
        on('pipeline', 'pip_1', 'run'),
        on('pipeline', 'pip_3', 'read'),
        on('project', 'prj_1', 'run'),
        on('project', 'prj_2', 'read'),
      ]
      return { body: { permissions: [], items } }
    })
    expect([...(await readGranted(newClient(server.fetch, origin)))]).toEqual(['pip_1', 'pip_2'])
    expect(server.asked).toHaveLength(2)
    const away = answers(() => new Error('offline'))
    expect((await readGranted(newClient(away.fetch, origin))).size).toBe(0)
  })
})
