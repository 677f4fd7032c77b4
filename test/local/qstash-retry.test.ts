import { describe, expect, it } from 'vitest'

import { gate, qstashWorld } from './qstash-world.ts'

const decode = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64').toString()

describe('retries', () => {
  it('come with the same id, a count and a fresh signature until the destination accepts', async () => {
    const { client, destination, qstash, receiver } = await qstashWorld()
    destination.answer = ({ headers }) => ({ status: headers['upstash-retried'] === '2' ? 200 : 500 })
    const url = `${destination.url}/flaky`
    const { messageId } = await client.publish({ url, body: 'x', retryDelay: '1 + retried' })
    await qstash.control.finished(messageId)
    expect(destination.received.map(({ headers }) => headers['upstash-retried'])).toEqual(['0', '1', '2'])
    expect(new Set(destination.received.map(({ headers }) => headers['upstash-message-id']))).toEqual(
      new Set([messageId]),
    )
    const signatures = destination.received.map(({ headers }) => String(headers['upstash-signature']))
    expect(new Set(signatures).size).toBe(3)
    for (const signature of signatures) await receiver.verify({ signature, body: 'x', url })
    expect(qstash.stats()).toMatchObject({ attempts: 3, delivered: 1, retried: 2, failed: 0, pending: 0 })
  })

  it('wait 12 seconds and then 148 when nothing else is asked for', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({ status: 503 })
    await client.publish({ url: destination.url, retries: 2 })
    await qstash.control.idle()
    for (const [waitMs, arrived] of [
      [11_900, 1],
      [100, 2],
      [147_900, 2],
      [100, 3],
    ] as const) {
      qstash.control.advance(waitMs)
      await qstash.control.idle({ withinMs: 0 })
      expect(destination.received).toHaveLength(arrived)
    }
    expect(qstash.stats()).toMatchObject({ failed: 1, dlq: 1 })
  })

  it('wait as long as the destination asks', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = ({ headers }) =>
      headers['upstash-retried'] === '0' ? { status: 429, headers: { 'Retry-After': '40' } } : undefined
    await client.publish({ url: destination.url, retryDelay: '1' })
    await qstash.control.idle()
    qstash.control.advance(39_900)
    await qstash.control.idle({ withinMs: 0 })
    expect(destination.received).toHaveLength(1)
    qstash.control.advance(200)
    await destination.arrivals(2)
  })

  it('end at once with 489 and the header that says so', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({
      status: 489,
      headers: { 'Upstash-NonRetryable-Error': 'true' },
      body: 'never',
    })
    const { messageId } = await client.publish({ url: destination.url, retryDelay: '1', retries: 5 })
    await qstash.control.finished(messageId)
    expect(destination.received).toHaveLength(1)
    const { messages } = await client.dlq.listMessages()
    expect(messages).toMatchObject([{ messageId, responseStatus: 489, responseBody: 'never' }])
  })

  it('follow an attempt that takes too long', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = async ({ headers }) => {
      if (headers['upstash-retried'] === '0') await held.opened
      return {}
    }
    const { messageId } = await client.publish({ url: destination.url, timeout: 0.3, retryDelay: '1' })
    await qstash.control.finished(messageId)
    held.open()
    expect(destination.received).toHaveLength(2)
    expect(qstash.control.deliveries()[0]).toMatchObject({ error: 'no answer within 300 ms' })
  })

  it('follow a request that cannot be made, and end like others', async () => {
    const { api, destination, qstash } = await qstashWorld()
    qstash.control.setBackoff(1)
    const item = { destination: destination.url, headers: { 'Upstash-Forward-X': 'a\u0000b' }, body: 'x' }
    expect((await api('POST', '/v2/batch', { body: JSON.stringify([item]) })).status).toBe(200)
    await qstash.control.idle()
    expect(qstash.stats()).toMatchObject({ failed: 1, dlq: 1, pending: 0, inFlight: 0 })
    expect(destination.received).toHaveLength(0)
  })

  it('do not come from a connection that the destination closed while nobody used it', async () => {
    const { client, destination, qstash } = await qstashWorld()
    for (let round = 0; round < 3; round++) {
      await client.batch(Array.from({ length: 10 }, () => ({ url: destination.url })))
      await qstash.control.idle()
      destination.hangUp()
    }
    expect(qstash.stats()).toMatchObject({ attempts: 30, delivered: 30, retried: 0 })
  })

  it('follow an attempt that finds nobody', async () => {
    const { client, qstash } = await qstashWorld()
    const { messageId } = await client.publish({ url: 'http://127.0.0.1:1/', retries: 1, retryDelay: '1' })
    await qstash.control.finished(messageId)
    const { messages } = await client.dlq.listMessages()
    expect(messages).toMatchObject([{ messageId, responseBody: expect.stringContaining('ECONNREFUSED') }])
    expect(messages[0]?.responseStatus).toBeUndefined()
  })
})

describe('the dead letter queue', () => {
  it('keeps what failed, shows it page by page, and replays it under a new id', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({ status: 500, headers: { 'X-Why': 'broken' }, body: 'no' })
    for (const n of [1, 2, 3])
      await client.publish({
        url: `${destination.url}/${n}`,
        body: `body ${n}`,
        retries: 0,
        label: n === 2 ? 'two' : 'other',
        headers: { 'X-N': String(n) },
      })
    await qstash.control.idle()
    const first = await client.dlq.listMessages({ count: 2 })
    expect(first.messages).toHaveLength(2)
    const second = await client.dlq.listMessages({ count: 2, cursor: String(first.cursor) })
    expect(second.messages).toHaveLength(1)
    expect(second.cursor).toBeUndefined()

    const [row] = (await client.dlq.listMessages({ filter: { label: 'two' } })).messages
    expect(row).toMatchObject({
      body: 'body 2',
      header: { 'X-N': ['2'] },
      responseStatus: 500,
      responseHeader: { 'X-Why': ['broken'] },
      responseBody: 'no',
      maxRetries: 0,
    })

    destination.answer = () => undefined
    const { responses } = await client.dlq.retry(String(row?.dlqId))
    expect(responses).toHaveLength(1)
    expect(responses[0]?.messageId).not.toBe(row?.messageId)
    const replayed = (await destination.arrivals(2, '/2'))[1]
    expect(replayed).toMatchObject({ body: 'body 2' })
    expect(replayed?.headers).toMatchObject({ 'x-n': '2', 'upstash-message-id': responses[0]?.messageId })
    expect((await client.dlq.listMessages()).messages).toHaveLength(2)
    await expect(client.dlq.retry(String(row?.dlqId))).rejects.toMatchObject({ status: 404 })
  })

  it('forgets one, several and all', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({ status: 500 })
    await client.batch(
      Array.from({ length: 7 }, (_, n) => ({ url: `${destination.url}/${n < 5 ? 'a' : 'b'}`, retries: 0 })),
    )
    await qstash.control.idle()
    const ids = (await client.dlq.listMessages()).messages.map(({ dlqId }) => dlqId)
    expect(await client.dlq.delete(String(ids[0]))).toEqual({ deleted: 1 })
    await expect(client.dlq.delete(String(ids[0]))).rejects.toMatchObject({ status: 404 })
    expect(await client.dlq.delete(ids.slice(1, 3))).toEqual({ deleted: 2 })
    expect(await client.dlq.delete({ filter: { url: `${destination.url}/a`, responseStatus: 404 } })).toEqual(
      {
        deleted: 0,
      },
    )
    const some = await client.dlq.delete({ all: true, count: 3 })
    expect(some.deleted).toBe(3)
    expect(await client.dlq.delete({ all: true, cursor: String(some.cursor) })).toEqual({ deleted: 1 })
    expect(qstash.stats().dlq).toBe(0)
    await expect(client.dlq.listMessages({ filter: { nonsense: 'x' } as never })).rejects.toMatchObject({
      status: 400,
    })
  })

  it('replays everything that matches', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({ status: 500 })
    await client.batch(['/a', '/a', '/b'].map((path) => ({ url: destination.url + path, retries: 0 })))
    await qstash.control.idle()
    destination.answer = () => undefined
    const { responses, cursor } = await client.dlq.retry({ filter: { url: `${destination.url}/a` } })
    expect(responses).toHaveLength(2)
    expect(cursor).toBeUndefined()
    await qstash.control.idle()
    expect(qstash.stats()).toMatchObject({ delivered: 2, dlq: 1 })
  })
})

describe('callbacks', () => {
  it('tell of every attempt, and the failure callback of the end', async () => {
    const { client, destination, qstash, receiver } = await qstashWorld()
    destination.answer = ({ path }) =>
      path === '/work' ? { status: 500, headers: { 'X-Work': 'no' }, body: 'broken' } : undefined
    const { messageId } = await client.publishJSON({
      url: `${destination.url}/work`,
      body: { n: 1 },
      retries: 1,
      retryDelay: '1',
      callback: `${destination.url}/callback`,
      failureCallback: `${destination.url}/failure`,
      headers: { 'Upstash-Callback-Forward-X-Token': 'abc', 'Upstash-Callback-Method': 'PUT' },
    })
    await qstash.control.finished(messageId)
    await qstash.control.idle()
    const callbacks = destination.at('/callback')
    expect(callbacks.map(({ body }) => JSON.parse(body).retried)).toEqual([0, 1])
    expect(callbacks[0]).toMatchObject({ method: 'PUT' })
    expect(callbacks[0]?.headers).toMatchObject({ 'x-token': 'abc', 'content-type': 'application/json' })
    const told = JSON.parse(String(callbacks[1]?.body))
    expect(told).toMatchObject({
      status: 500,
      maxRetries: 1,
      sourceMessageId: messageId,
      url: `${destination.url}/work`,
      method: 'POST',
      sourceHeader: { 'Content-Type': ['application/json'] },
      createdAt: expect.any(Number),
    })
    expect(told.header['X-Work']).toEqual(['no'])
    expect([decode(told.body), decode(told.sourceBody)]).toEqual(['broken', '{"n":1}'])

    const [failure, ...others] = destination.at('/failure')
    expect(others).toHaveLength(0)
    const { messages } = await client.dlq.listMessages()
    expect(JSON.parse(String(failure?.body))).toMatchObject({
      dlqId: messages[0]?.dlqId,
      sourceMessageId: messageId,
    })
    await receiver.verify({
      signature: String(failure?.headers['upstash-signature']),
      body: String(failure?.body),
      url: `${destination.url}/failure`,
    })
  })

  it('bring the answer of a call that went well, and no failure', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = ({ path }) => (path === '/work' ? { status: 201, body: '{"id":7}' } : undefined)
    await client.publish({
      url: `${destination.url}/work`,
      callback: `${destination.url}/callback`,
      failureCallback: `${destination.url}/failure`,
    })
    await qstash.control.idle()
    const told = JSON.parse(String(destination.at('/callback')[0]?.body))
    expect(told).toMatchObject({ status: 201, retried: 0 })
    expect(decode(told.body)).toBe('{"id":7}')
    expect(destination.at('/failure')).toHaveLength(0)
  })

  it('are retried as they say themselves', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = ({ path }) => (path === '/callback' ? { status: 500 } : undefined)
    await client.publish({
      url: `${destination.url}/work`,
      callback: `${destination.url}/callback`,
      headers: { 'Upstash-Callback-Retries': '1', 'Upstash-Callback-Retry-Delay': '1' },
    })
    await qstash.control.idle()
    expect(destination.at('/callback')).toHaveLength(2)
    expect(destination.at('/work')).toHaveLength(1)
    expect(qstash.stats()).toMatchObject({ delivered: 1, failed: 1 })
  })
})
