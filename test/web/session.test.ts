import { describe, expect, it } from 'vitest'
import { ask, newClient } from '../../web/src/api.ts'
import { destination, SessionModel } from '../../web/src/session.ts'
import { answers, origin, problem } from './answers.ts'

const me = {
  tenant: { id: 'ten_1', name: 'Acme' },
  user: { id: 'usr_1', email: 'a@b.c', role: 'owner' },
  permissions: [],
}
const alone = (work: () => Promise<boolean>) => work()

/** A server that knows the session until `end`, and renews it `renewals` times. */
function sessionServer({ renewals = 1, renewalStatus = 401 } = {}) {
  let valid = true
  let left = renewals
  const server = answers(({ path }) => {
    if (path === '/v1/sessions/refresh') {
      if (left === 0) return problem(renewalStatus, renewalStatus === 401 ? 'unauthenticated' : 'unavailable')
      left -= 1
      valid = true
      return { body: {} }
    }
    if (!valid) return problem(401, 'unauthenticated')
    if (path === '/v1/sessions/current') return { status: 204 }
    return { body: path === '/v1/me' ? me : { items: [] } }
  })
  return { ...server, end: () => (valid = false) }
}

describe('the session', () => {
  it('says who is signed in', async () => {
    const server = sessionServer()
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    expect(session.state.value).toEqual({ state: 'loading' })
    await session.open()
    expect(session.state.value).toEqual({ state: 'ready', value: me })
    expect(server.paths()).toEqual(['GET /v1/me'])
  })

  it('is renewed once for all requests that ran out together, and they are made again', async () => {
    const server = sessionServer()
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    const api = newClient(session.fetch, origin)
    server.end()
    const all = await Promise.all([
      ask(api.v1.runs.$get({ query: {} })),
      ask(api.v1.pipelines.$get({ query: {} })),
    ])
    expect(all.map(({ state }) => state)).toEqual(['ready', 'ready'])
    expect(server.paths().filter((path) => path === 'POST /v1/sessions/refresh')).toHaveLength(1)
    expect(server.paths()).toHaveLength(5)
  })

  it('sends the body again after it was renewed', async () => {
    const server = sessionServer()
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    server.end()
    const api = newClient(session.fetch, origin)
    await ask(api.v1.runs.$post({ json: { pipelineId: 'pip_1' } }))
    const starts = server.asked.filter(({ path }) => path === '/v1/runs')
    expect(starts.map(({ body }) => body)).toEqual(['{"pipelineId":"pip_1"}', '{"pipelineId":"pip_1"}'])
  })

  it('is over when it is not renewed', async () => {
    const server = sessionServer({ renewals: 0 })
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    server.end()
    await session.open()
    expect(session.state.value).toEqual({ state: 'out', left: false })
  })

  it('is not over because the server cannot renew it now', async () => {
    const server = sessionServer({ renewals: 0, renewalStatus: 503 })
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    await session.open()
    server.end()
    const api = newClient(session.fetch, origin)
    expect((await ask(api.v1.runs.$get({ query: {} }))).state).toBe('failed')
    expect(session.state.value.state).toBe('ready')
  })

  it('is renewed by one tab at a time', async () => {
    const server = sessionServer()
    const held: (() => void)[] = []
    const inTurn = async (work: () => Promise<boolean>) => {
      await new Promise<void>((go) => held.push(go))
      return work()
    }
    const session = new SessionModel({ fetch: server.fetch, alone: inTurn, origin })
    server.end()
    const opened = session.open()
    await expect.poll(() => held.length).toBe(1)
    expect(server.paths()).toEqual(['GET /v1/me'])
    held[0]?.()
    await opened
    expect(session.state.value.state).toBe('ready')
  })

  it('learns of another role when something is refused, and keeps what it knows when it cannot', async () => {
    let role = 'owner'
    const server = answers(({ path }) => {
      if (path !== '/v1/me') return problem(403, 'forbidden')
      return role === '' ? problem(503, 'unavailable') : { body: { ...me, user: { ...me.user, role } } }
    })
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    await session.open()
    const shown = () => (session.state.value.state === 'ready' ? session.state.value.value.user?.role : '')
    const before = session.state.value
    await session.look()
    expect(session.state.value).toBe(before)
    role = 'viewer'
    await ask(newClient(session.fetch, origin).v1.runs.$get({ query: {} }))
    await expect.poll(shown).toBe('viewer')
    role = ''
    await session.look()
    expect(shown()).toBe('viewer')
  })

  it('ends when somebody signs out, and says so when the server does not answer', async () => {
    const server = sessionServer()
    const session = new SessionModel({ fetch: server.fetch, alone, origin })
    await session.open()
    await session.leave()
    expect(session.state.value).toEqual({ state: 'out', left: true })

    const deaf = new SessionModel({ fetch: () => Promise.reject(new Error('offline')), alone, origin })
    await deaf.leave()
    expect(deaf.state.value).toEqual({ state: 'loading' })
    expect(deaf.problem.value?.detail).toContain('still signed in')
  })
})

describe('where somebody belongs', () => {
  const at = (url: string) => {
    const { pathname, searchParams } = new URL(url, origin)
    return { url, path: pathname, query: Object.fromEntries(searchParams) }
  }
  const out = { state: 'out', left: false } as const
  const ready = { state: 'ready', value: me } as never

  it.each([
    [out, '/runs/run_1?x=1', '/sign-in?next=%2Fruns%2Frun_1%3Fx%3D1'],
    [out, '/', '/sign-in'],
    [{ ...out, left: true }, '/runs', '/sign-in'],
    [out, '/sign-in', undefined],
    [out, '/sign-up', undefined],
    [{ state: 'loading' } as const, '/runs', undefined],
    [ready, '/runs', undefined],
    [ready, '/sign-in', '/'],
    [ready, '/sign-in?next=%2Fruns%3Fstate%3Dfailed', '/runs?state=failed'],
    [ready, '/sign-in?next=https%3A%2F%2Fevil.example%2F', '/'],
    [ready, '/sign-in?next=%2F%2Fevil.example', '/'],
    [ready, '/sign-in?next=%2F%09%2Fevil.example', '/'],
    [ready, '/sign-in?next=%2F%5Cevil.example', '/'],
    [ready, '/sign-in?next=javascript%3Aalert(1)', '/'],
    [ready, '/sign-in?next=%2Fsign-in', '/'],
  ])('%j at %s: %s', (state, url, expected) => {
    expect(destination(state, at(url))).toBe(expected)
  })
})

describe('an answer', () => {
  const asked = (reply: Parameters<typeof answers>[0]) =>
    ask(newClient(answers(reply).fetch, origin).v1.me.$get())

  it('is the problem that the server named', async () => {
    expect(await asked(() => problem(429, 'limited', 'Too many requests.'))).toEqual({
      state: 'failed',
      problem: { status: 429, code: 'limited', detail: 'Too many requests.' },
    })
  })

  it('is a problem where there is none, or none that can be read', async () => {
    expect(await asked(() => new Error('offline'))).toMatchObject({
      problem: { code: 'unreachable', status: 0 },
    })
    for (const body of ['<h1>Bad gateway</h1>', '{}', '"no"'])
      expect(await asked(() => ({ status: 502, body }))).toMatchObject({
        problem: { code: 'unreadable', status: 502 },
      })
    expect(await asked(() => ({ status: 200, body: '{"tenant"' }))).toMatchObject({
      problem: { code: 'unreadable' },
    })
  })
})
