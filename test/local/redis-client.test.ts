import { Redis } from '@upstash/redis'
import { describe, expect, it } from 'vitest'

import { engines, token, useRedis } from './redis-world.ts'

const byName = (a: string, b: string): number => a.localeCompare(b)

describe.each(engines)('the official client on %s', (engine) => {
  const world = useRedis(engine)
  const { name } = world

  it('keeps values of every kind, and says nothing for what is not there', async () => {
    const key = name()
    expect(await world.redis.set(key, { a: [1, 'zwei', null] })).toBe('OK')
    expect(await world.redis.get(key)).toEqual({ a: [1, 'zwei', null] })
    expect(await world.redis.get(name())).toBeNull()
    expect(await world.redis.set(key, 'ünïcödé 🐟')).toBe('OK')
    expect(await world.redis.get(key)).toBe('ünïcödé 🐟')
    expect(await world.redis.set(key, '')).toBe('OK')
    expect(await world.redis.get(key)).toBe('')
    expect(await world.redis.set(key, 'OK')).toBe('OK')
    expect(await world.redis.get(key)).toBe('OK')
  })

  it('keeps numbers that are too large for JSON as they are', async () => {
    const [plain, counter] = [name(), name()]
    await world.redis.set(plain, '9007199254740993')
    expect(await world.redis.get(plain)).toBe('9007199254740993')
    await world.redis.set(counter, '9007199254740992')
    await world.redis.incr(counter)
    expect(await world.redis.get(counter)).toBe('9007199254740993')
    await world.redis.set(counter, '9223372036854775807')
    await expect(world.redis.incr(counter)).rejects.toThrow(/overflow/)
  })

  it('sets only what is not there, for as long as it is told', async () => {
    const key = name()
    expect(await world.redis.set(key, 1, { nx: true, ex: 100 })).toBe('OK')
    expect(await world.redis.set(key, 2, { nx: true, ex: 100 })).toBeNull()
    expect(await world.redis.get(key)).toBe(1)
    expect(await world.redis.ttl(key)).toBeGreaterThan(90)
    expect(await world.redis.set(key, 3, { keepTtl: true, get: true })).toBe(1)
    expect(await world.redis.ttl(key)).toBeGreaterThan(90)
    expect(await world.redis.expire(key, 50, 'GT')).toBe(0)
    expect(await world.redis.expire(key, 500, 'GT')).toBe(1)
    expect(await world.redis.ttl(key)).toBeGreaterThan(400)
    expect(await world.redis.set(key, 4)).toBe('OK')
    expect(await world.redis.ttl(key)).toBe(-1)
    expect(await world.redis.pexpire(key, 1)).toBe(1)
    await expect.poll(() => world.redis.exists(key)).toBe(0)
    expect(await world.redis.ttl(key)).toBe(-2)
  })

  it('counts, and keeps hashes, lists, sets and sorted sets', async () => {
    const { redis } = world
    const [counter, hash, list, set, sorted] = [name(), name(), name(), name(), name()]
    expect([await redis.incr(counter), await redis.incrby(counter, 5), await redis.decr(counter)]).toEqual([
      1, 6, 5,
    ])
    expect(await redis.hset(hash, { a: 1, b: 'two' })).toBe(2)
    expect(await redis.hincrby(hash, 'a', 41)).toBe(42)
    expect(await redis.hgetall(hash)).toEqual({ a: 42, b: 'two' })
    expect(await redis.hgetall(name())).toBeNull()
    expect(await redis.rpush(list, 'a', 'b', 'c')).toBe(3)
    expect(await redis.ltrim(list, 1, -1)).toBe('OK')
    expect(await redis.lrange(list, 0, -1)).toEqual(['b', 'c'])
    expect(await redis.sadd(set, 'x', 'y')).toBe(2)
    expect((await redis.smembers(set)).toSorted(byName)).toEqual(['x', 'y'])
    await redis.zadd(sorted, { score: 2.5, member: 'b' }, { score: 1, member: 'a' })
    expect(await redis.zrange(sorted, 0, -1, { withScores: true })).toEqual(['a', 1, 'b', 2.5])
    expect(await redis.zincrby(sorted, 2, 'a')).toBe(3)
    expect(await redis.del(counter, hash, list, name())).toBe(3)
  })

  it('forgets a list with its last entry', async () => {
    const list = name()
    await world.redis.rpush(list, 'only')
    expect(await world.redis.lpop(list)).toBe('only')
    expect(await world.redis.exists(list)).toBe(0)
  })

  it('keeps what happens in streams, in order, and drops the oldest', async () => {
    const { redis } = world
    const stream = name()
    const ids: string[] = []
    for (let i = 0; i < 5; i++) {
      ids.push(
        await redis.xadd(stream, '*', { at: i }, { trim: { type: 'MAXLEN', comparison: '=', threshold: 3 } }),
      )
    }
    expect(ids.toSorted(byId)).toEqual(ids)
    expect(await redis.xlen(stream)).toBe(3)
    expect(await redis.xrange(stream, '-', '+')).toEqual({
      [ids[2] ?? '']: { at: 2 },
      [ids[3] ?? '']: { at: 3 },
      [ids[4] ?? '']: { at: 4 },
    })
    expect(Object.keys(await redis.xrange(stream, `(${ids[2]}`, '+', 1))).toEqual([ids[3]])
    expect(Object.keys(await redis.xrevrange(stream, '+', '-', 1))).toEqual([ids[4]])
    expect(await redis.xread(stream, ids[3] ?? '')).toEqual([[stream, [[ids[4], ['at', 4]]]]])
    expect(await redis.xread(stream, ids[4] ?? '')).toBeNull()
    await expect(redis.xadd(stream, '1-1', { late: 'x' })).rejects.toThrow(/equal or smaller/)
  })

  it('finds names by their pattern', async () => {
    const prefix = name()
    await world.redis.mset({ [`${prefix}:a1`]: 1, [`${prefix}:a2`]: 1, [`${prefix}:b[1]`]: 1 })
    expect((await world.redis.keys(`${prefix}:a?`)).toSorted(byName)).toEqual([
      `${prefix}:a1`,
      `${prefix}:a2`,
    ])
    expect(await world.redis.keys(`${prefix}:b\\[*`)).toEqual([`${prefix}:b[1]`])
    const found: string[] = []
    let cursor = '0'
    do {
      const [next, names] = await world.redis.scan(cursor, { match: `${prefix}:[^b]*`, count: 100 })
      found.push(...names)
      cursor = String(next)
    } while (cursor !== '0')
    expect(found.toSorted(byName)).toEqual([`${prefix}:a1`, `${prefix}:a2`])
  })

  it('refuses to use one kind of value as another', async () => {
    const [list, text] = [name(), name()]
    await world.redis.rpush(list, 'a')
    await world.redis.set(text, 'a')
    for (const wrong of [
      () => world.redis.get(list),
      () => world.redis.incr(list),
      () => world.redis.hset(text, { a: 1 }),
      () => world.redis.sadd(list, 'a'),
      () => world.redis.xadd(list, '*', { a: 1 }),
      () => world.redis.zadd(text, { score: 1, member: 'a' }),
    ]) {
      await expect(wrong()).rejects.toThrow(/WRONGTYPE/)
    }
  })

  it('answers a pipeline in order, one failure apart from the rest', async () => {
    const key = name()
    const pipeline = world.redis.pipeline().set(key, 'text').incr(key).get(key)
    const results = await pipeline.exec({ keepErrors: true })
    expect(results.map((one) => one.result ?? one.error)).toEqual([
      'OK',
      expect.stringMatching(/integer/i),
      'text',
    ])
  })

  it('puts the commands of one moment into one request', async () => {
    const key = name()
    const { requests, commands } = world.server.stats
    await Promise.all(Array.from({ length: 10 }, () => world.redis.incr(key)))
    expect(world.server.stats.requests - requests).toBe(1)
    expect(world.server.stats.commands - commands).toBe(10)
    expect(await world.redis.get(key)).toBe(10)
  })

  it('runs a transaction with nothing in between', async () => {
    const key = name()
    const transactions = Array.from({ length: 40 }, () =>
      world.redis.multi().incr(key).incr(key).exec<number[]>(),
    )
    for (const [first = 0, second = 0] of await Promise.all(transactions)) expect(second - first).toBe(1)
    expect(await world.redis.get(key)).toBe(80)
  })

  it('reads what it wrote through another client', async () => {
    const other = new Redis({
      url: world.server.url,
      token,
      automaticDeserialization: false,
      responseEncoding: false,
    })
    const key = name()
    await world.redis.set(key, 12)
    expect(await other.get(key)).toBe('12')
    expect(await other.pipeline().get(key).strlen(key).exec()).toEqual(['12', 2])
  })

  it('brings what is published to those who listen, by name and by pattern, until they leave', async () => {
    const { redis } = world
    const channel = name()
    const heard: string[] = []
    const subscriber = redis.subscribe<string>([channel])
    const byPattern = redis.psubscribe<{ text: string }>([`${channel.slice(0, -1)}*`])
    subscriber.on('message', ({ message }) => heard.push(`name ${JSON.stringify(message)}`))
    byPattern.on('pmessage', ({ message }) => heard.push(`pattern ${message.text}`))
    await Promise.all([
      new Promise<void>((done) => subscriber.on('subscribe', () => done())),
      new Promise<void>((done) => byPattern.on('psubscribe', () => done())),
    ])
    expect(await redis.publish(channel, { text: 'one, two' })).toBe(2)
    await expect.poll(() => heard.toSorted(byName)).toEqual(['name {"text":"one, two"}', 'pattern one, two'])
    // The official client reads messages of a pattern as JSON only.
    await byPattern.unsubscribe()
    await expect.poll(() => redis.publish(channel, 'plain, text')).toBe(1)
    await expect.poll(() => heard.at(-1)).toBe('name "plain, text"')
    await subscriber.unsubscribe()
    await expect.poll(() => redis.publish(channel, 'nobody')).toBe(0)
  })

  it('brings a thousand messages in order to each of many listeners', async () => {
    const channel = name()
    const subscribers = Array.from({ length: 10 }, () => world.redis.subscribe<number>([channel]))
    const heard = subscribers.map(() => [] as number[])
    for (const [i, each] of subscribers.entries())
      each.on('message', ({ message }) => heard[i]?.push(message))
    await Promise.all(
      subscribers.map((each) => new Promise<void>((done) => each.on('subscribe', () => done()))),
    )
    const numbers = Array.from({ length: 1000 }, (_, i) => i)
    const pipeline = world.redis.pipeline()
    for (const number of numbers) pipeline.publish(channel, number)
    expect(await pipeline.exec()).toEqual(numbers.map(() => 10))
    await expect.poll(() => heard).toEqual(subscribers.map(() => numbers))
    await Promise.all(subscribers.map((each) => each.unsubscribe()))
  })
})

function byId(a: string, b: string): number {
  const [[aMs = 0, aSeq = 0], [bMs = 0, bSeq = 0]] = [a.split('-').map(Number), b.split('-').map(Number)]
  return aMs - bMs || aSeq - bSeq
}
