import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startRedis, type LocalRedis } from '#local/redis.ts'

const hasServer = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'redis-server')))
const engines = hasServer ? (['mock', 'redis-server'] as const) : (['mock'] as const)

describe.each(engines)('Upstash over %s, with the official clients', (engine) => {
  let server: LocalRedis
  let redis: Redis

  beforeAll(async () => {
    server = await startRedis({ token: 'a-token-for-tests', engine })
    redis = new Redis({ url: server.url, token: server.token })
  })
  afterAll(() => server.stop())
  const name = () => `k:${crypto.randomUUID()}`

  it('keeps values of every kind, and says nothing for what is not there', async () => {
    const key = name()
    expect(await redis.set(key, { a: [1, 'zwei', null] })).toBe('OK')
    expect(await redis.get(key)).toEqual({ a: [1, 'zwei', null] })
    expect(await redis.get(name())).toBeNull()
    expect(await redis.set(key, 'ünïcödé 🐟')).toBe('OK')
    expect(await redis.get(key)).toBe('ünïcödé 🐟')
  })

  it('sets only what is not there, for as long as it is told', async () => {
    const key = name()
    expect(await redis.set(key, 1, { nx: true, ex: 100 })).toBe('OK')
    expect(await redis.set(key, 2, { nx: true, ex: 100 })).toBeNull()
    expect(await redis.get(key)).toBe(1)
    expect(await redis.ttl(key)).toBeGreaterThan(90)
    expect(await redis.pexpire(key, 1)).toBe(1)
    await expect.poll(() => redis.exists(key)).toBe(0)
  })

  it('counts, and keeps hashes, lists, sets and sorted sets', async () => {
    const [counter, hash, list, set, sorted] = [name(), name(), name(), name(), name()]
    expect([await redis.incr(counter), await redis.incrby(counter, 5), await redis.decr(counter)]).toEqual([1, 6, 5])
    expect(await redis.hset(hash, { a: 1, b: 'two' })).toBe(2)
    expect(await redis.hgetall(hash)).toEqual({ a: 1, b: 'two' })
    expect(await redis.rpush(list, 'a', 'b')).toBe(2)
    expect(await redis.lrange(list, 0, -1)).toEqual(['a', 'b'])
    expect(await redis.sadd(set, 'x', 'y')).toBe(2)
    expect((await redis.smembers(set)).toSorted((a, b) => a.localeCompare(b))).toEqual(['x', 'y'])
    await redis.zadd(sorted, { score: 2, member: 'b' }, { score: 1, member: 'a' })
    expect(await redis.zrange(sorted, 0, -1)).toEqual(['a', 'b'])
    expect(await redis.del(counter, hash, list)).toBe(3)
  })

  it('answers a pipeline in order, one failure apart from the rest', async () => {
    const key = name()
    const pipeline = redis.pipeline().set(key, 'text').lpush(key, 'x').get(key)
    const results = await pipeline.exec({ keepErrors: true })
    expect(results.map((one) => one.result ?? one.error)).toEqual(['OK', expect.stringMatching(/WRONGTYPE|does not contain a list/), 'text'])
  })

  it('runs a transaction with nothing in between', async () => {
    const key = name()
    const transactions = Array.from({ length: 20 }, () => redis.multi().incr(key).incr(key).exec<[number, number]>())
    for (const [first, second] of await Promise.all(transactions)) expect(second - first).toBe(1)
    expect(await redis.get(key)).toBe(40)
  })

  it('puts the commands of one moment into one request', async () => {
    const key = name()
    const before = server.stats.requests
    await Promise.all(Array.from({ length: 10 }, () => redis.incr(key)))
    expect(server.stats.requests - before).toBe(1)
  })

  it('knows a script by the hash of what the client sent, a line of flags included', async () => {
    const script = redis.createScript<number>(`#!lua flags=allow-key-locking\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])`)
    const key = name()
    expect(await script.exec([key], ['5'])).toBe(5)
    expect(await script.exec([key], ['5'])).toBe(10)
    await expect(redis.evalsha('0'.repeat(40), [], [])).rejects.toThrow(/NOSCRIPT/)
    server.faults.forgetScripts()
    expect(await script.exec([key], ['1'])).toBe(11)
  })

  it('brings what is published to those who listen, by name and by pattern, until they leave', async () => {
    const channel = name()
    const heard: string[] = []
    const subscriber = redis.subscribe<{ text: string }>([channel])
    const byPattern = redis.psubscribe<{ text: string }>([`${channel.slice(0, -1)}*`])
    subscriber.on('message', ({ message }) => heard.push(`name ${message.text}`))
    byPattern.on('pmessage', ({ message }) => heard.push(`pattern ${message.text}`))
    await Promise.all([new Promise<void>((done) => subscriber.on('subscribe', () => done())), new Promise<void>((done) => byPattern.on('psubscribe', () => done()))])
    await redis.publish(channel, { text: 'one, two' })
    await expect.poll(() => heard.toSorted((a, b) => a.localeCompare(b))).toEqual(['name one, two', 'pattern one, two'])
    await Promise.all([subscriber.unsubscribe(), byPattern.unsubscribe()])
    await expect.poll(() => redis.publish(channel, 'nobody')).toBe(0)
  })

  it('takes a command as a path, with a body and further words in the query', async () => {
    const key = name()
    const headers = { Authorization: `Bearer ${server.token}` }
    const ask = async (path: string, init: RequestInit = {}) => (await fetch(`${server.url}${path}`, { headers, ...init })).json()
    expect(await ask(`/set/${key}?EX=100`, { method: 'POST', body: 'a value' })).toEqual({ result: 'OK' })
    expect(await ask(`/get/${key}`)).toEqual({ result: 'a value' })
    expect(await (await fetch(`${server.url}/ttl/${key}?_token=${server.token}`)).json()).toEqual({ result: expect.any(Number) })
    const resp = await fetch(`${server.url}/get/${key}`, { headers: { ...headers, 'Upstash-Response-Format': 'resp2' } })
    expect(await resp.text()).toBe('$7\r\na value\r\n')
  })

  it.each([
    ['without a token', {}, '/get/x', 'GET', 401],
    ['with a wrong token', { Authorization: 'Bearer nobody' }, '/get/x', 'GET', 401],
    ['by DELETE', { Authorization: 'Bearer a-token-for-tests' }, '/get/x', 'DELETE', 405],
    ['for a command that is none', { Authorization: 'Bearer a-token-for-tests' }, '/nonsense/x', 'GET', 400],
    ['for what Upstash does not have', { Authorization: 'Bearer a-token-for-tests' }, '/blpop/x/1', 'GET', 400],
    ['for a list that is none', { Authorization: 'Bearer a-token-for-tests' }, '/pipeline', 'POST', 400],
  ])('refuses a request %s', async (_, headers, path, method, status) => {
    const response = await fetch(`${server.url}${path}`, { method, headers: headers as Record<string, string> })
    expect(response.status).toBe(status)
    expect(await response.json()).toHaveProperty('error')
  })

  it('refuses a request larger than ten megabytes', async () => {
    await expect(redis.set(name(), 'x'.repeat(10 * 1024 * 1024))).rejects.toThrow(/max request size/)
  })

  describe.each([
    ['fixed window', () => Ratelimit.fixedWindow(10, '60 s')],
    ['sliding window', () => Ratelimit.slidingWindow(10, '60 s')],
  ])('the official rate limiter, %s', (_, limiter) => {
    const make = () => new Ratelimit({ redis, limiter: limiter(), prefix: name(), ephemeralCache: false, analytics: false })

    it('never lets more through than its limit, however many come at once', async () => {
      const limit = make()
      const results = await Promise.all(Array.from({ length: 64 }, () => limit.limit('one')))
      expect(results.filter(({ success }) => success)).toHaveLength(10)
    })

    it('counts two callers apart', async () => {
      const limit = make()
      for (let i = 0; i < 10; i++) await limit.limit('one')
      expect((await limit.limit('one')).success).toBe(false)
      expect(await limit.limit('other')).toMatchObject({ success: true, remaining: 9 })
    })
  })
})

it('shows what a client meets when Redis goes wrong', async () => {
  const server = await startRedis({ token: 'a-token-for-tests', engine: 'mock' })
  const redis = new Redis({ url: server.url, token: server.token, retry: false })
  server.faults.unauthorized = true
  await expect(redis.get('x')).rejects.toThrow(/WRONGPASS/)
  server.faults.unauthorized = false
  server.faults.drop = true
  await expect(redis.get('x')).rejects.toThrow(/fetch failed/)
  server.faults.drop = false
  expect(await redis.get('x')).toBeNull()
  await server.stop()
})

it('does not start in production', async () => {
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    await expect(startRedis({ token: 'a-token-for-tests' })).rejects.toThrow(/production/)
  } finally {
    process.env['NODE_ENV'] = before
  }
})
