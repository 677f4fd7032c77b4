import { QstashDailyRatelimitError, QstashRatelimitError } from '@upstash/qstash'
import { describe, expect, it } from 'vitest'

import type { Fault } from '#local/qstash.ts'

import { gate, qstashWorld } from './qstash-world.ts'

const idOf = ({ headers }: { headers: NodeJS.Dict<string | string[]> }) => headers['upstash-message-id']

describe('on command, an attempt', () => {
  it('is lost, one in three, and made up for after a short wait', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.inject({ kind: 'dropAttempt', retryAfterMs: 1 }, { every: 3 })
    await client.batch(
      Array.from({ length: 20 }, (_, n) => ({ url: `${destination.url}/${n}`, retries: 20 })),
    )
    await qstash.control.idle()
    expect(new Set(destination.received.map(({ path }) => path)).size).toBe(20)
    expect(destination.received).toHaveLength(20)
    expect(qstash.stats()).toMatchObject({ attempts: 29, retried: 9, delivered: 20 })
  })

  it('is made twice, at once and a little later', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({}))
    const undo = qstash.control.inject({ kind: 'duplicate' })
    const { messageId } = await client.publish({ url: destination.url })
    expect((await destination.arrivals(2)).map(idOf)).toEqual([messageId, messageId])
    expect(destination.inFlight).toBe(2)
    held.open()
    await qstash.control.idle()
    undo()
    qstash.control.inject({ kind: 'duplicate', copies: 2, afterMs: 3 }, { times: 1 })
    await client.publish({ url: `${destination.url}/later` })
    await qstash.control.idle()
    expect(destination.at('/later')).toHaveLength(3)
    expect(qstash.stats()).toMatchObject({ delivered: 2, attempts: 2 })
  })

  it('succeeds without anyone noticing, and comes again', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.inject({ kind: 'dropAck', retryAfterMs: 1 }, { times: 2 })
    const { messageId } = await client.publish({ url: destination.url })
    await qstash.control.finished(messageId)
    expect(destination.received.map(({ headers }) => headers['upstash-retried'])).toEqual(['0', '1', '2'])
    expect(qstash.stats()).toMatchObject({ delivered: 1, failed: 0 })
  })

  it('arrives with a signature or a body that was tampered with', async () => {
    const { client, destination, qstash, receiver } = await qstashWorld()
    qstash.control.inject({ kind: 'tamper', part: 'signature' }, { url: '/signature' })
    qstash.control.inject({ kind: 'tamper', part: 'body' }, { url: (url) => url.endsWith('/body') })
    for (const path of ['/signature', '/body', '/fine'])
      await client.publish({ url: destination.url + path, body: 'x' })
    await qstash.control.idle()
    const verify = async (path: string) => {
      const [received] = destination.at(path)
      const signature = String(received?.headers['upstash-signature'])
      return receiver.verify({ signature, body: String(received?.body), url: destination.url + path })
    }
    await expect(verify('/signature')).rejects.toThrow('signature verification failed')
    await expect(verify('/body')).rejects.toThrow('body hash')
    await expect(verify('/fine')).resolves.toBe(true)
  })

  it('is signed with a key that was rotated away before it arrives', async () => {
    const { client, destination, qstash, receiver } = await qstashWorld()
    qstash.control.inject({ kind: 'rotateKeys' }, { times: 1 })
    const url = `${destination.url}/a`
    await client.publish({ url, body: 'x' })
    await client.publish({ url, body: 'x' })
    const received = await destination.arrivals(2)
    for (const { headers } of received)
      await receiver.verify({ signature: String(headers['upstash-signature']), body: 'x', url })
    const [first, second] = received.map(({ headers }) => String(headers['upstash-signature']).split('.')[2])
    expect(first).not.toBe(second)
  })

  it('is answered in the place of the destination', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const headers = { 'Upstash-NonRetryable-Error': 'true' }
    qstash.control.inject({ kind: 'answer', status: 503, retryAfterMs: 1 }, { times: 2, url: '/a' })
    qstash.control.inject({ kind: 'answer', status: 489, headers }, { url: '/b' })
    await client.publish({ url: `${destination.url}/a` })
    await client.publish({ url: `${destination.url}/b` })
    await qstash.control.idle()
    expect(destination.received.map(({ path, headers: sent }) => [path, sent['upstash-retried']])).toEqual([
      ['/a', '2'],
    ])
    const statuses = qstash.control.deliveries().map(({ status }) => status)
    expect(statuses.map(String).toSorted()).toEqual(['200', '489', '503', '503'])
    expect(qstash.stats()).toMatchObject({ delivered: 1, dlq: 1 })
  })
})

describe('on command, a publish', () => {
  it('is answered and never delivered', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.inject({ kind: 'losePublish' }, { every: 2 })
    for (const n of [1, 2, 3, 4])
      expect((await client.publish({ url: `${destination.url}/${n}` })).messageId).toMatch(/^msg_/)
    qstash.control.advance(86_400_000)
    await qstash.control.idle()
    expect(destination.received.map(({ path }) => path)).toEqual(['/1', '/3'])
  })

  it('is carried out without an answer, so a client publishes again: twice, or once with a deduplication id', async () => {
    const { client, destination, qstash } = await qstashWorld()
    qstash.control.inject({ kind: 'loseReply' }, { times: 1, url: '/plain' })
    qstash.control.inject({ kind: 'loseReply' }, { times: 1, url: '/safe' })
    await client.publish({ url: `${destination.url}/plain` })
    const safe = await client.publish({ url: `${destination.url}/safe`, deduplicationId: 'once' })
    await qstash.control.idle()
    expect(destination.at('/plain')).toHaveLength(2)
    expect(destination.at('/safe')).toHaveLength(1)
    expect(safe).toEqual({
      messageId: idOf(destination.at('/safe')[0] ?? { headers: {} }),
      deduplicated: true,
    })
  })

  it('is held back, so that messages overtake each other', async () => {
    const { client, destination, qstash } = await qstashWorld({ seed: 7 })
    const undo = qstash.control.inject({ kind: 'reorder', ms: 20_000 })
    await client.batch(Array.from({ length: 20 }, (_, n) => ({ url: `${destination.url}/${n + 10}` })))
    qstash.control.advance(20_000)
    await qstash.control.idle()
    const paths = destination.received.map(({ path }) => path)
    expect(paths).toHaveLength(20)
    expect(paths).not.toEqual(paths.toSorted())
    undo()
    qstash.control.inject({ kind: 'delay', ms: 5_000 })
    await client.publish({ url: `${destination.url}/late` })
    await qstash.control.idle()
    expect(destination.at('/late')).toHaveLength(0)
    qstash.control.advance(5_000)
    await destination.arrivals(1, '/late')
  })

  it('meets either limit of the API, and is slow', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const publish = () => client.publish({ url: destination.url })
    qstash.control.inject(
      { kind: 'limit', family: 'burst', limit: 100, resetAt: 1_800_000_000 },
      { times: 1 },
    )
    const burst = await publish().catch((error: unknown) => error)
    expect(burst).toBeInstanceOf(QstashRatelimitError)
    expect(burst).toMatchObject({ status: 429, limit: '100', remaining: '0', reset: '1800000000' })
    qstash.control.inject({ kind: 'limit', family: 'daily', limit: 500 }, { times: 1 })
    const daily = await publish().catch((error: unknown) => error)
    expect(daily).toBeInstanceOf(QstashDailyRatelimitError)
    expect(daily).toMatchObject({ status: 429, limit: '500', remaining: '0' })
    qstash.control.inject({ kind: 'slowApi', ms: 10 }, { times: 1 })
    const before = performance.now()
    await publish()
    expect(performance.now() - before).toBeGreaterThan(8)
  })
})

it('does all of it over HTTP too, for whoever has the token', async () => {
  const { api, client, destination, qstash } = await qstashWorld()
  const json = async (method: string, path: string, body?: unknown) => {
    const response = await api(
      method,
      `/__test/${path}`,
      body === undefined ? {} : { body: JSON.stringify(body) },
    )
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) }
  }
  expect((await fetch(`${qstash.url}/__test/stats`)).status).toBe(401)
  const lost: Fault = { kind: 'dropAttempt', retryAfterMs: 1 }
  const armed = await json('POST', 'faults', { ...lost, times: 1 })
  expect(armed).toMatchObject({ status: 201, body: { id: 1, fault: lost, options: { times: 1 } } })
  expect((await json('POST', 'faults', { kind: 'nonsense' })).status).toBe(400)
  await client.publish({ url: destination.url, body: 'x' })
  await json('GET', 'idle')
  expect(await json('GET', 'deliveries')).toMatchObject({
    body: [
      { fault: 'dropAttempt', error: 'the attempt was lost', body: 'eA==' },
      { status: 200, retried: 1 },
    ],
  })
  expect(await json('GET', 'stats')).toMatchObject({ body: { published: 1, delivered: 1, retried: 1 } })
  expect(await json('GET', 'faults')).toMatchObject({ body: [{ id: 1, struck: 1 }] })
  expect((await json('DELETE', 'faults/1')).status).toBe(200)
  expect((await json('DELETE', 'faults/1')).status).toBe(404)
  await json('POST', 'backoff?ms=1')
  await json('DELETE', 'deliveries')
  expect(await json('GET', 'deliveries')).toMatchObject({ body: [] })
  await client.publish({ url: `${destination.url}/later`, delay: 60 })
  expect(await json('POST', 'advance?ms=60000')).toMatchObject({ body: { ran: 1 } })
  await destination.arrivals(1, '/later')
  const rotated = await json('POST', 'rotate')
  expect(await (await api('GET', '/v2/keys')).json()).toEqual(rotated.body)
  expect((await json('POST', 'nothing')).status).toBe(404)
})
