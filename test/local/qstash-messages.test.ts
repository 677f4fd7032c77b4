import { describe, expect, it } from 'vitest'

import { gate, qstashWorld } from './qstash-world.ts'

describe('a message', () => {
  it('can be read while it is not finished', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const url = `${destination.url}/a`
    const { messageId } = await client.publishJSON({
      url,
      body: { n: 1 },
      delay: 60,
      retries: 5,
      retryDelay: '1000 * retried',
      callback: 'https://example.com/callback',
      label: ['a', 'b'],
      headers: { 'X-N': '1' },
      flowControl: { key: 'k', rate: 3, period: '1m', parallelism: 2 },
    })
    const message = await client.messages.get(messageId)
    expect(message).toMatchObject({
      messageId,
      url,
      method: 'POST',
      header: { 'Content-Type': ['application/json'], 'X-N': ['1'] },
      body: '{"n":1}',
      maxRetries: 5,
      retryDelayExpression: '1000 * retried',
      callback: 'https://example.com/callback',
      label: 'a',
      labels: ['a', 'b'],
      flowControlKey: 'k',
      parallelism: 2,
      rate: 3,
      period: 60,
      callerIp: expect.any(String),
    })
    expect(Number(message.notBefore) - message.createdAt).toBe(60_000)
    qstash.control.advance(60_000)
    await qstash.control.finished(messageId)
    await expect(client.messages.get(messageId)).rejects.toMatchObject({ status: 404 })
  })

  it('is not delivered once it is cancelled', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const { messageId } = await client.publish({ url: destination.url, delay: 60 })
    expect(await client.messages.cancel(messageId)).toEqual({ cancelled: 1 })
    await expect(client.messages.cancel(messageId)).rejects.toMatchObject({ status: 404 })
    qstash.control.advance(120_000)
    await qstash.control.idle()
    expect(destination.received).toHaveLength(0)
    const { logs } = await client.logs({ filter: { messageId } })
    expect(logs.map(({ state }) => state)).toEqual(['CANCELED', 'CANCEL_REQUESTED', 'CREATED'])
  })

  it('is not retried when it is cancelled in flight or between attempts', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const held = gate()
    destination.answer = () => held.opened.then(() => ({ status: 500 }))
    const queue = client.queue({ queueName: 'line' })
    const first = await queue.enqueue({ url: `${destination.url}/first` })
    const second = await queue.enqueue({ url: `${destination.url}/second` })
    const third = await queue.enqueue({ url: `${destination.url}/third` })
    await destination.arrivals(1)
    expect(await client.messages.cancel([first.messageId, third.messageId, 'msg_unknown'])).toEqual({
      cancelled: 2,
    })
    held.open()
    await destination.arrivals(2)
    await qstash.control.idle()
    await client.messages.cancel(second.messageId)
    qstash.control.advance(86_400_000)
    await qstash.control.idle()
    expect(destination.received.map(({ path }) => path)).toEqual(['/first', '/second'])
    expect(await queue.get()).toMatchObject({ lag: 0 })
    await queue.enqueue({ url: `${destination.url}/fourth` })
    await destination.arrivals(1, '/fourth')
  })

  it('can be cancelled by filters', async () => {
    const { api, client, qstash } = await qstashWorld()
    const publish = (url: string, label: string, key: string) =>
      client.publish({ url, label, delay: 60, flowControl: { key, parallelism: 1 } })
    await publish('https://a.example/1', 'red', 'k1')
    await publish('https://a.example/2', 'blue', 'k1')
    await publish('https://b.example/1', 'red', 'k2')
    await publish('https://c.example/1', 'red', 'k3')
    const cancel: typeof client.messages.cancel = (request) => client.messages.cancel(request)
    expect(await cancel({ filter: { host: 'a.example', label: 'red' } })).toEqual({ cancelled: 1 })
    expect(await cancel({ filter: { flowControlKey: ['k2', 'k3'], path: '/2' } })).toEqual({ cancelled: 0 })
    expect(await cancel({ filter: { url: ['https://b.example/1', 'https://x.example/'] } })).toEqual({
      cancelled: 1,
    })
    expect((await api('DELETE', '/v2/messages?nonsense=1')).status).toBe(400)
    expect(qstash.stats().pending).toBe(2)
    expect(await cancel({ all: true })).toEqual({ cancelled: 2 })
  })
})

describe('the log', () => {
  it('tells the newest first what happened to each message', async () => {
    const { api, client, destination, qstash } = await qstashWorld()
    qstash.control.setBackoff(1)
    destination.answer = ({ headers }) =>
      headers['upstash-retried'] === '0' ? { status: 500, body: 'oh' } : {}
    const { messageId } = await client.publish({ url: `${destination.url}/a`, body: 'x', label: 'l' })
    await qstash.control.finished(messageId)
    const { logs } = await client.logs({ filter: { label: 'l' } })
    expect(logs.map(({ state }) => state)).toEqual([
      'DELIVERED',
      'ACTIVE',
      'RETRY',
      'ERROR',
      'ACTIVE',
      'CREATED',
    ])
    expect(logs[3]).toMatchObject({ error: 'oh', responseStatus: 500, nextDeliveryTime: expect.any(Number) })
    expect(logs[0]).toMatchObject({ messageId, url: `${destination.url}/a`, labels: ['l'] })
    const other = (await (await api('GET', '/v2/logs?state=ERROR,RETRY')).json()) as {
      logs: { state: string }[]
    }
    expect(other.logs.map(({ state }) => state)).toEqual(['RETRY', 'ERROR'])
  })

  it('comes page by page, by id and by date, and refuses what it does not know', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const first = await client.publish({ url: `${destination.url}/a` })
    await client.publish({ url: `${destination.url}/b` })
    await qstash.control.idle()
    const page = await client.logs({ count: 4 } as never)
    expect(page.logs).toHaveLength(4)
    const rest = await client.logs({ count: 4, cursor: String(page.cursor) } as never)
    expect(rest.logs).toHaveLength(2)
    expect(rest.cursor).toBeUndefined()
    expect(rest.logs.at(-1)).toMatchObject({ messageId: first.messageId, state: 'CREATED' })
    const byId = await client.logs({ messageIds: [first.messageId] })
    expect(new Set(byId.logs.map(({ messageId }) => messageId))).toEqual(new Set([first.messageId]))
    const later = qstash.control.now() + 60_000
    expect((await client.logs({ filter: { fromDate: Math.floor(later) } })).logs).toHaveLength(0)
    expect((await client.logs({ filter: { toDate: new Date(later) } })).logs).toHaveLength(6)
    await expect(client.logs({ filter: { nonsense: 'x' } as never })).rejects.toMatchObject({ status: 400 })
  })

  it('hides what a message asks to hide, and so does the dead letter queue', async () => {
    const { client, destination, qstash } = await qstashWorld()
    destination.answer = () => ({ status: 500 })
    const secret = 'REDACTED:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'
    await client.publish({
      url: destination.url,
      body: 'secret',
      headers: { Authorization: 'secret', 'X-Open': 'open' },
      redact: { body: true, header: ['Authorization'] },
      retries: 0,
    })
    await qstash.control.idle()
    expect(destination.received[0]).toMatchObject({ body: 'secret', headers: { authorization: 'secret' } })
    const { logs } = await client.logs()
    for (const { body, header } of logs)
      expect({ body, header }).toEqual({
        body: secret,
        header: expect.objectContaining({ Authorization: [secret], 'X-Open': ['open'] }),
      })
    const { messages } = await client.dlq.listMessages()
    expect(messages[0]).toMatchObject({ body: secret, header: { Authorization: [secret] } })
    destination.answer = () => undefined
    await client.dlq.retry(String(messages[0]?.dlqId))
    expect((await destination.arrivals(2))[1]).toMatchObject({
      body: 'secret',
      headers: { authorization: 'secret' },
    })
  })
})

it('rotates its keys, and signs with the next one from then on', async () => {
  const { api, client, destination, receiver } = await qstashWorld()
  const before = (await (await api('GET', '/v2/keys')).json()) as { current: string; next: string }
  const after = (await (await api('POST', '/v2/keys/rotate')).json()) as { current: string; next: string }
  expect(after.current).toBe(before.next)
  expect(after.next).not.toBe(before.current)
  const verify = async (path: string) => {
    const url = destination.url + path
    await client.publish({ url, body: 'x' })
    const [received] = await destination.arrivals(1, path)
    return receiver.verify({ signature: String(received?.headers['upstash-signature']), body: 'x', url })
  }
  await expect(verify('/after-one')).resolves.toBe(true)
  await api('POST', '/v2/keys/rotate')
  await expect(verify('/after-two')).rejects.toThrow('signature verification failed')
})
