import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Redis } from '@upstash/redis'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { findRedisServer, startRedis } from '#local/redis.ts'
import { globTest } from '#local/redis/mock/glob.ts'
import { Failure, Status, toJson, toResp, type Reply } from '#local/redis/reply.ts'
import { ReplyReader, toRequest } from '#local/redis/resp.ts'
import { token } from './redis-world.ts'

const plainText = fc.string().filter((text) => !/[\r\n]/.test(text) && text !== 'OK')

const reply = fc.letrec<{ reply: Reply; list: Reply[] }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 60n, max: 2n ** 63n - 1n }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    plainText.map((text) => new Status(text.replaceAll(/[^\u0020-\u007e]/g, ''))),
    plainText.map((text) => new Failure(`ERR ${text}`)),
    tie('list'),
  ),
  list: fc.array(tie('reply'), { maxLength: 6 }),
})).reply

describe('the reader of answers', () => {
  it('reads what was written, wherever the network breaks it', () => {
    const property = fc.property(
      fc.array(reply),
      fc.infiniteStream(fc.integer({ min: 1, max: 64 })),
      (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(toResp))
        const reader = new ReplyReader()
        const got: Reply[] = []
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value ?? 1
          got.push(...reader.read(bytes.subarray(at, at + size)))
          at += size
        }
        expect(got.map((each) => toJson(each, true))).toEqual(sent.map((each) => toJson(each, true)))
      },
    )
    fc.assert(property, { numRuns: 300 })
  })

  it('reads a large answer in many pieces without reading it again and again', () => {
    const value = Buffer.alloc(8 * 1024 * 1024, 'x')
    const bytes = toResp([1, value, 'end'])
    const reader = new ReplyReader()
    const got: Reply[] = []
    const begun = performance.now()
    for (let at = 0; at < bytes.length; at += 1024) got.push(...reader.read(bytes.subarray(at, at + 1024)))
    expect(performance.now() - begun).toBeLessThan(2_000)
    expect(got).toHaveLength(1)
    expect(toJson(got[0] ?? null, false)).toHaveLength(value.length + '[1,"","end"]'.length)
  })
})

it('writes commands with the length of each word in bytes', () => {
  expect(
    toRequest([
      ['SET', 'ä', 'b'],
      ['GET', ''],
    ]),
  ).toBe('*3\r\n$3\r\nSET\r\n$2\r\nä\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n')
  expect(toRequest([['SET', 'k', Buffer.from([0xff, 0])], ['PING']])).toEqual(
    Buffer.concat([
      Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n'),
      Buffer.from([0xff, 0]),
      Buffer.from('\r\n*1\r\n$4\r\nPING\r\n'),
    ]),
  )
})

it.each([
  ['*', 'anything', true],
  ['a*c', 'abbbc', true],
  ['a*c', 'ab', false],
  ['h?llo', 'hello', true],
  ['h[ae]llo', 'hallo', true],
  ['h[ae]llo', 'hillo', false],
  ['h[^e]llo', 'hello', false],
  ['h[a-c]llo', 'hbllo', true],
  [String.raw`a\*`, 'a*', true],
  [String.raw`a\*`, 'ab', false],
  ['a.c', 'abc', false],
  ['a[', 'a[', true],
  ['(x)+', '(x)+', true],
  ['line*', 'line\nbreak', true],
])('the pattern %j on %j: %s', (pattern, name, expected) => {
  expect(globTest(pattern)(name)).toBe(expected)
})

it('keeps what it holds in its folder, where redis-server is installed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weir-redis-test-'))
  const held: unknown[] = []
  for (const value of ['first', 'second']) {
    const server = await startRedis({ dir, token })
    const redis = new Redis({ url: server.url, token })
    held.push(await redis.get('k'))
    await redis.set('k', value)
    await server.stop()
  }
  expect(held).toEqual([null, findRedisServer() === undefined ? null : 'first'])
  await rm(dir, { recursive: true, force: true })
})

it('lets go of names that are over, also when nobody asks for them', async () => {
  const server = await startRedis({ token, engine: 'mock' })
  const redis = new Redis({ url: server.url, token })
  await redis.set('short', 1, { px: 1 })
  await redis.set('long', 1, { ex: 100 })
  await expect.poll(() => redis.dbsize(), { timeout: 5_000 }).toBe(1)
  expect(await redis.get('long')).toBe(1)
  await server.stop()
})
