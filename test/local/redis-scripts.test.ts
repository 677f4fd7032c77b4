import { createHash } from 'node:crypto'

import { Ratelimit } from '@upstash/ratelimit'
import { describe, expect, it } from 'vitest'

import { countScript, countScriptSha } from '#src/cache/limit.ts'
import { engines, post, useRedis } from './redis-world.ts'

const flagged = (script: string): string => `#!lua flags=allow-key-locking\n${script}`
const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex')

describe.each(engines)('scripts on %s', (engine) => {
  const world = useRedis(engine)
  const { name } = world

  it('are known by the hash of what the client sent, a line of flags included', async () => {
    const script = world.redis.createScript<number>(flagged(`return redis.call('INCRBY', KEYS[1], ARGV[1])`))
    const key = name()
    expect(await script.exec([key], ['5'])).toBe(5)
    const { requests } = world.server.stats
    expect(await script.exec([key], ['5'])).toBe(10)
    expect(world.server.stats.requests - requests).toBe(1)
    await world.server.faults.flushScripts()
    await expect(script.evalsha([key], ['1'])).rejects.toThrow(/NOSCRIPT/)
    expect(await script.exec([key], ['1'])).toBe(11)
  })

  it('are loaded, asked for and forgotten', async () => {
    const { redis } = world
    const [plain, withFlags] = [`return '${name()}'`, flagged(`return '${name()}'`)]
    const shas = [await redis.scriptLoad(plain), await redis.scriptLoad(withFlags)]
    expect(shas).toEqual([sha1(plain), sha1(withFlags)])
    expect(await redis.scriptExists(...shas, '0'.repeat(40))).toEqual([1, 1, 0])
    expect(await redis.evalsha(shas[1]?.toUpperCase() ?? '', [], [])).toBe(withFlags.slice(-39, -1))
    expect(await redis.scriptFlush()).toBe('OK')
    expect(await redis.scriptExists(...shas)).toEqual([0, 0])
    await expect(redis.evalsha(shas[0] ?? '', [], [])).rejects.toThrow(
      /NOSCRIPT No matching script\. Please use EVAL\./,
    )
  })

  it('that nobody knows fail alone in a batch and in a transaction', async () => {
    const key = name()
    const batch = [
      ['EVALSHA', '0'.repeat(40), 0],
      ['SET', key, 1],
    ]
    const expected = [{ error: 'NOSCRIPT No matching script. Please use EVAL.' }, { result: 'OK' }]
    expect((await world.ask('/pipeline', post(batch))).json).toEqual(expected)
    expect((await world.ask('/multi-exec', post(batch))).json).toEqual(expected)
  })

  it.each<[script: string, answer: unknown]>([
    ['return 3.99', 3],
    ['return -3.99', -3],
    ['return true', 1],
    ['return false', null],
    ["return 'ünï'", 'ünï'],
    ["return {1, 'x', {2, false}, nil, 5}", [1, 'x', [2, null]]],
    ["return {ok = 'FINE'}", 'FINE'],
    ["return redis.call('GET', 'none')", null],
    ["return type(redis.call('GET', 'none'))", 'boolean'],
    ["return redis.call('SET', KEYS[1], 'v')", 'OK'],
    ["return redis.call('SET', KEYS[1], 'v').ok", 'OK'],
    ["redis.call('HSET', KEYS[1], 'f', 1) return redis.call('HGETALL', KEYS[1])", ['f', '1']],
    ["redis.call('SET', KEYS[1], 10 / 4) return redis.call('GET', KEYS[1])", '2.5'],
    ["redis.call('SET', KEYS[1], 10 / 2) return redis.call('GET', KEYS[1])", '5'],
    ["redis.call('SET', KEYS[1], 1763708400000 * 2) return redis.call('GET', KEYS[1])", '3527416800000'],
    ["return 10 / 2 .. ''", '5'],
    ["return tonumber('2000000000') * 3", 6_000_000_000],
    ["return tonumber('1763708400000') + 1", 1_763_708_400_001],
    ['return math.floor(1763708400.5) * 1000', 1_763_708_400_000],
    ["return string.format('%d %03d %.2f', 3, 7, 1.234)", '3 007 1.23'],
    ['return {unpack(ARGV)}', ['a', 'b']],
    ['return #KEYS + #ARGV', 3],
    ["return redis.pcall('INCR', ARGV[1], 'too many').err ~= nil", 1],
    [
      "redis.call('SET', KEYS[1], 'x') return redis.pcall('INCR', KEYS[1]).err",
      expect.stringContaining('integer'),
    ],
    ["return select(2, pcall(error, 'x'))", 'x'],
    ["return redis.sha1hex('')", sha1('')],
    ["return loadstring('return 5')()", 5],
  ])('answer as Redis does: %s', async (script, answer) => {
    expect((await world.ask('/', post(['EVAL', script, 1, name(), 'a', 'b']))).json).toEqual({
      result: answer,
    })
  })

  it.each([
    ["return redis.call('NONSENSE')", /^ERR unknown/i],
    ["return redis.call('SET', KEYS[1])", /^ERR wrong number/i],
    ["redis.call('SET', KEYS[1], 'x') return redis.call('INCR', KEYS[1])", /^ERR value is not an integer/],
    ["redis.call('RPUSH', KEYS[1], 'x') return redis.call('GET', KEYS[1])", /^WRONGTYPE/],
    ["return redis.error_reply('boo')", /^ERR boo/],
    ["return redis.error_reply('CODE boo')", /^CODE boo/],
    ["error('boo')", /^ERR user_script:1: boo/],
    ['return (', /^ERR Error compiling script/],
    ['x = 1', /^ERR user_script:1:/],
    ['return os.time()', /^ERR user_script:1:/],
    ["return require('fs')", /nonexistent global variable 'require'/],
  ])('fail as in Redis: %s', async (script, error) => {
    const answer = await world.ask('/', post(['EVAL', script, 1, name()]))
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringMatching(error) } })
    expect((await world.ask('/', post(['EVAL', 'return {#KEYS, #ARGV}', 0]))).json).toEqual({
      result: [0, 0],
    })
  })

  it('run with nothing in between', async () => {
    const key = name()
    const script = `local n = tonumber(redis.call('GET', KEYS[1]) or '0') redis.call('SET', KEYS[1], n + 1) return n`
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => world.ask('/', post(['EVAL', script, 1, key]))),
    )
    const seen = answers.map(({ json }) => (json as { result: number }).result).toSorted((a, b) => a - b)
    expect(seen).toEqual(Array.from({ length: 64 }, (_, i) => i))
  })

  it("count the requests of Weir's own limits", async () => {
    const [now, before, requests, ended, member, record] = [name(), name(), name(), name(), name(), name()]
    await world.redis.mset({ [before]: 4, [member]: 'viewer', [record]: '5 0 0 {}' })
    await world.redis.scriptLoad(countScript)
    const keys = [now, before, requests, ended, member, record]
    // One bucket of 9, which the record makes 5; a tenant whose own bucket has no limit.
    const count = () =>
      world.redis.evalsha(countScriptSha, keys, [1, 1, 'ten_x', 60_000, 9, 500, 60_000, 0, 7, 6, 500, 60_000])
    const known = [null, 'viewer', '5 0 0 {}']
    expect([await count(), await count(), await count(), await count()]).toEqual([
      [0, 3, 5, ...known],
      [0, 4, 5, ...known],
      [0, 5, 5, ...known],
      [1, 5, 5, ...known],
    ])
    expect(await world.redis.hget(requests, 'ten_x')).toBe(3)
    expect(await world.redis.pttl(now)).toBeGreaterThan(50_000)
  })

  describe.each([
    ['fixed window', () => Ratelimit.fixedWindow(10, '1 d')],
    ['sliding window', () => Ratelimit.slidingWindow(10, '1 d')],
    ['token bucket', () => Ratelimit.tokenBucket(10, '1 d', 10)],
  ])('of the official rate limiter, %s,', (_, limiter) => {
    const make = () =>
      new Ratelimit({ redis: world.redis, limiter: limiter(), prefix: name(), ephemeralCache: false })

    it('never let more through than the limit, however many come at once', async () => {
      const limit = make()
      const results = await Promise.all(Array.from({ length: 64 }, () => limit.limit('one')))
      expect(results.filter(({ success }) => success)).toHaveLength(10)
      expect(results.every(({ reason }) => reason === undefined)).toBe(true)
    })

    it('count two callers apart, and begin anew when told', async () => {
      const limit = make()
      const remaining: number[] = []
      for (let i = 0; i < 10; i++) remaining.push((await limit.limit('one')).remaining)
      expect(remaining).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
      expect(await limit.limit('one')).toMatchObject({ success: false, limit: 10, remaining: 0 })
      expect(await limit.limit('other')).toMatchObject({ success: true, remaining: 9 })
      expect((await limit.getRemaining('one')).remaining).toBe(0)
      await limit.resetUsedTokens('one')
      expect(await limit.limit('one')).toMatchObject({ success: true, remaining: 9 })
      expect((await limit.limit('other')).remaining).toBe(8)
    })
  })

  it('of the official rate limiter let callers in again when the window is over', async () => {
    const limiter = Ratelimit.fixedWindow(1, '1 s')
    const limit = new Ratelimit({ redis: world.redis, limiter, prefix: name(), ephemeralCache: false })
    const wait = async (): Promise<boolean> => (await limit.limit('one')).success
    await expect.poll(wait, { interval: 20 }).toBe(true)
    await expect.poll(wait, { interval: 5 }).toBe(false)
    await expect.poll(wait, { interval: 50, timeout: 5_000 }).toBe(true)
  })
})
