import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis'
import { afterEach, describe, expect, it } from 'vitest'

import { startRedis } from '#local/redis.ts'
import { engines, token, useRedis } from './redis-world.ts'

describe.each(engines)('what goes wrong on command, on %s,', (engine) => {
  const world = useRedis(engine)
  const { name } = world
  // `retry: false` would still try twice.
  const impatient = () =>
    new Redis({ url: world.server.url, token, retry: { retries: 0 }, enableAutoPipelining: false })
  const faults = () => world.server.faults

  afterEach(() => faults().clear())

  it('refuses the token as often as it is told', async () => {
    faults().inject({ kind: 'unauthorized' }, { times: 2 })
    for (const _ of [1, 2]) expect(await world.ask('/ping')).toMatchObject({ status: 401 })
    expect(await world.ask('/ping')).toMatchObject({ status: 200 })
  })

  it('strikes until it is taken back', async () => {
    const takeBack = faults().inject({ kind: 'error', status: 503, message: 'away' })
    for (const _ of [1, 2, 3]) {
      expect(await world.ask('/ping')).toMatchObject({ status: 503, json: { error: 'away' } })
    }
    takeBack()
    expect((await world.ask('/ping')).status).toBe(200)
  })

  it('strikes only what it is meant for', async () => {
    const key = name()
    faults().inject({ kind: 'error', status: 400, message: 'ERR no' }, { when: ([verb]) => verb === 'set' })
    await expect(impatient().set(key, 1)).rejects.toThrow('ERR no')
    expect(await impatient().get(key)).toBeNull()
    expect(
      (await world.ask(`/subscribe/${key}`, { signal: AbortSignal.timeout(200) }).catch(String)) as string,
    ).toMatch(/Timeout/)
  })

  it('closes the connection before the command runs', async () => {
    const key = name()
    faults().inject({ kind: 'refuse' }, { times: 1 })
    await expect(impatient().incr(key)).rejects.toThrow('fetch failed')
    expect(await world.redis.get(key)).toBeNull()
  })

  it('is tried again by the official client', async () => {
    const key = name()
    faults().inject({ kind: 'refuse' }, { times: 2 })
    expect(await world.redis.incr(key)).toBe(1)
  })

  it('loses the answer after the command ran: the client then runs it twice', async () => {
    const key = name()
    faults().inject({ kind: 'dropReply' }, { times: 1 })
    await expect(impatient().incr(key)).rejects.toThrow('fetch failed')
    expect(await world.redis.get(key)).toBe(1)
    faults().inject({ kind: 'dropReply' }, { times: 1 })
    expect(await world.redis.incr(key)).toBe(3)
  })

  it('answers late, and the official rate limiter lets everybody through', async () => {
    const options = { redis: world.redis, prefix: name(), ephemeralCache: false as const }
    const patient = new Ratelimit({ ...options, limiter: Ratelimit.slidingWindow(1, '1 d') })
    const limit = new Ratelimit({ ...options, limiter: Ratelimit.slidingWindow(1, '1 d'), timeout: 50 })
    await patient.limit('one')
    expect((await patient.limit('one')).success).toBe(false)
    faults().inject({ kind: 'latency', ms: 500 })
    const begun = performance.now()
    expect(await limit.limit('one')).toMatchObject({ success: true, reason: 'timeout' })
    expect(performance.now() - begun).toBeLessThan(450)
  })

  it('forgets the scripts before the next request', async () => {
    const script = world.redis.createScript<number>(`return redis.call('INCR', KEYS[1])`)
    const key = name()
    await script.exec([key], [])
    faults().inject({ kind: 'flushScripts' }, { times: 1 })
    await expect(script.evalsha([key], [])).rejects.toThrow(/NOSCRIPT/)
    expect(await script.exec([key], [])).toBe(2)
  })

  it('cuts subscriptions', async () => {
    const headers = { Authorization: `Bearer ${token}` }
    const { body } = await fetch(`${world.server.url}/subscribe/${name()}`, { headers })
    const reader = body?.getReader()
    await reader?.read()
    expect(faults().cutStreams()).toBe(1)
    await expect(reader?.read()).rejects.toThrow('terminated')
    await expect.poll(() => faults().cutStreams()).toBe(0)
    expect((await world.ask('/ping')).status).toBe(200)
  })
})

it('does not start in production', async () => {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    await expect(startRedis({ token })).rejects.toThrow(/production/)
  } finally {
    process.env['NODE_ENV'] = before
  }
})

it('says when its port is taken, and leaves nothing behind', async () => {
  const first = await startRedis({ token, engine: 'mock' })
  const port = Number(new URL(first.url).port)
  await expect(startRedis({ token, port })).rejects.toThrow(`Port ${port} is already in use`)
  await first.stop()
  const second = await startRedis({ token, port, engine: 'mock' })
  expect(second.url).toBe(first.url)
  await second.stop()
})

it('shares nothing between two of its kind', async () => {
  const [one, other] = await Promise.all([1, 2].map(() => startRedis({ token, engine: 'mock' })))
  await new Redis({ url: one?.url ?? '', token }).set('k', 1)
  expect(await new Redis({ url: other?.url ?? '', token }).get('k')).toBeNull()
  await Promise.all([one?.stop(), other?.stop()])
})
