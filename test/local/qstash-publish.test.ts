import { describe, expect, it } from 'vitest'

import { startQstash } from '#local/qstash.ts'

import { keys, qstashWorld, token } from './qstash-world.ts'

describe('publish', () => {
  it('delivers method, body, forwarded headers and its own, signed for exactly that URL and body', async () => {
    const { client, destination, receiver } = await qstashWorld()
    const url = `${destination.url}/in?a=b&c=d%20e`
    const { messageId } = await client.publishJSON({
      url,
      method: 'PUT',
      body: { hello: 'wörld' },
      headers: { 'X-Tenant': 'acme' },
      label: ['one', 'two'],
    })
    const [received] = await destination.arrivals(1)
    expect(received).toMatchObject({ path: '/in?a=b&c=d%20e', method: 'PUT', body: '{"hello":"wörld"}' })
    expect(received?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-tenant': 'acme',
      'user-agent': 'Upstash-QStash',
      'upstash-message-id': messageId,
      'upstash-retried': '0',
    })
    expect(received?.headers['upstash-label']).toBeUndefined()
    expect(received?.headers['upstash-method']).toBeUndefined()
    const signature = String(received?.headers['upstash-signature'])
    const body = String(received?.body)
    await expect(receiver.verify({ signature, body, url })).resolves.toBe(true)
    await expect(receiver.verify({ signature, body: `${body} `, url })).rejects.toThrow('body hash')
    await expect(receiver.verify({ signature, body, url: `${url}x` })).rejects.toThrow('invalid subject')
  })

  it('takes a batch of messages to different places and queues, and answers in its order', async () => {
    const { client, destination, qstash } = await qstashWorld()
    await client.urlGroups.addEndpoints({
      name: 'both',
      endpoints: [{ name: 'left', url: `${destination.url}/left` }, { url: `${destination.url}/right` }],
    })
    const results = await client.batchJSON([
      { url: `${destination.url}/a`, body: { n: 1 }, headers: { 'X-N': '1' } },
      { url: `${destination.url}/b`, body: { n: 2 }, queueName: 'line' },
      { urlGroup: 'both', body: { n: 3 } },
    ])
    await qstash.control.idle()
    const [first, second, third] = results as unknown as [
      { messageId: string },
      { messageId: string },
      { messageId: string; url: string }[],
    ]
    expect(destination.at('/a')[0]?.headers).toMatchObject({
      'upstash-message-id': first.messageId,
      'x-n': '1',
    })
    expect(destination.at('/b')[0]?.headers).toMatchObject({
      'upstash-message-id': second.messageId,
      'upstash-queue-name': 'line',
    })
    expect(third.map(({ url }) => url)).toEqual([`${destination.url}/left`, `${destination.url}/right`])
    expect(destination.at('/left')[0]?.headers).toMatchObject({
      'upstash-topic-name': 'both',
      'upstash-message-id': third[0]?.messageId,
    })
    expect(destination.at('/right')).toHaveLength(1)
  })

  it('publishes nothing of a batch with a mistake in it', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const url = `${destination.url}/a`
    await expect(client.batch([{ url }, { url: 'ftp://nowhere' }])).rejects.toThrow('invalid scheme')
    expect(qstash.stats()).toMatchObject({ published: 0, pending: 0 })
  })

  it('takes Upstash headers from the query too, and keeps them out of the destination', async () => {
    const { api, destination } = await qstashWorld()
    const options = 'upstash-header-forward=true&upstash-retries=0&qstash_token=x'
    const response = await api('POST', `/v2/publish/${destination.url}/hook?keep=1&${options}`, {
      headers: { 'X-Hook': 'yes' },
      body: 'hi',
    })
    expect(response.status).toBe(200)
    const [received] = await destination.arrivals(1)
    expect(received).toMatchObject({ path: '/hook?keep=1', body: 'hi' })
    expect(received?.headers['x-hook']).toBe('yes')
    expect(received?.headers.authorization).toBeUndefined()
  })

  it('waits for a delay and for a time', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const now = qstash.control.now()
    await client.publish({ url: `${destination.url}/delayed`, delay: '1m30s' as '90s' })
    await client.publish({
      url: `${destination.url}/later`,
      notBefore: Math.floor(now / 1_000) + 120,
      delay: 1,
    })
    await qstash.control.idle()
    expect(destination.received).toHaveLength(0)
    qstash.control.advance(89_000)
    await qstash.control.idle({ withinMs: 0 })
    expect(destination.received).toHaveLength(0)
    qstash.control.advance(1_000)
    await destination.arrivals(1, '/delayed')
    expect(destination.at('/later')).toHaveLength(0)
    qstash.control.advance(31_000)
    await destination.arrivals(1, '/later')
  })

  it('answers a duplicate within ten minutes with the first id, per destination', async () => {
    const { api, client, destination, qstash } = await qstashWorld()
    const publish = (path: string) =>
      client.publish({ url: destination.url + path, body: 'x', deduplicationId: 'once' })
    const first = await publish('/a')
    expect(await publish('/a')).toEqual({ messageId: first.messageId, deduplicated: true })
    expect((await publish('/b')).deduplicated).toBeUndefined()
    const headers = { 'Upstash-Deduplication-Id': 'once' }
    expect((await api('POST', `/v2/publish/${destination.url}/a`, { headers })).status).toBe(202)
    qstash.control.advance(10 * 60_000)
    expect((await publish('/a')).deduplicated).toBeUndefined()
    await qstash.control.idle()
    expect(destination.at('/a')).toHaveLength(2)
    expect(destination.at('/b')).toHaveLength(1)
  })

  it('compares content when asked to', async () => {
    const { client, destination, qstash } = await qstashWorld()
    const url = `${destination.url}/a`
    const publish = (body: string, tenant: string) =>
      client.publish({ url, body, headers: { 'X-Tenant': tenant }, contentBasedDeduplication: true })
    const first = await publish('one', 'acme')
    expect(await publish('one', 'acme')).toEqual({ messageId: first.messageId, deduplicated: true })
    expect((await publish('two', 'acme')).deduplicated).toBeUndefined()
    expect((await publish('one', 'globex')).deduplicated).toBeUndefined()
    await qstash.control.idle()
    expect(destination.received).toHaveLength(3)
  })

  it.each([
    ['no scheme', '/v2/publish/example.com/x', {}, 400],
    ['an unknown group', '/v2/publish/nobody', {}, 404],
    ['a wrong delay', '/v2/publish/http://127.0.0.1:1/', { 'Upstash-Delay': 'soon' }, 400],
    ['wrong retries', '/v2/publish/http://127.0.0.1:1/', { 'Upstash-Retries': '-1' }, 400],
    ['a wrong expression', '/v2/publish/http://127.0.0.1:1/', { 'Upstash-Retry-Delay': 'boom(' }, 400],
    ['a wrong method', '/v2/publish/http://127.0.0.1:1/', { 'Upstash-Method': 'FETCH' }, 400],
    ['a wrong callback', '/v2/publish/http://127.0.0.1:1/', { 'Upstash-Callback': 'nowhere' }, 400],
    [
      'a flow key without limits',
      '/v2/publish/http://127.0.0.1:1/',
      { 'Upstash-Flow-Control-Key': 'k' },
      400,
    ],
    ['a wrong queue name', '/v2/enqueue/a%20b/http://127.0.0.1:1/', {}, 400],
    ['an unknown path', '/v2/nothing', {}, 404],
    ['a wrong token', '/v2/publish/http://127.0.0.1:1/', { Authorization: 'Bearer no' }, 401],
  ])('refuses %s', async (_, path, headers, status) => {
    const { api, qstash } = await qstashWorld()
    const response = await api('POST', path, { headers: headers as Record<string, string>, body: 'x' })
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({ error: expect.any(String) })
    expect(qstash.stats().published).toBe(0)
  })

  it('refuses a message that is too large', async () => {
    const { client, destination } = await qstashWorld({ maxMessageBytes: 1_000 })
    await expect(client.publish({ url: destination.url, body: 'x'.repeat(1_001) })).rejects.toMatchObject({
      status: 413,
    })
  })
})

describe('url groups', () => {
  it('are made, changed and removed', async () => {
    const { client } = await qstashWorld()
    const endpoints = [{ name: 'a', url: 'https://a.example/' }, { url: 'https://b.example/' }]
    await client.urlGroups.addEndpoints({ name: 'both', endpoints })
    await client.urlGroups.addEndpoints({
      name: 'both',
      endpoints: [{ name: 'a', url: 'https://a2.example/' }],
    })
    expect((await client.urlGroups.get('both')).endpoints.map(({ url }) => url)).toEqual([
      'https://a2.example/',
      'https://b.example/',
    ])
    await client.urlGroups.removeEndpoints({ name: 'both', endpoints: [{ url: 'https://b.example/' }] })
    expect((await client.urlGroups.list()).map(({ name, endpoints: left }) => [name, left.length])).toEqual([
      ['both', 1],
    ])
    await client.urlGroups.delete('both')
    await expect(client.urlGroups.get('both')).rejects.toMatchObject({ status: 404 })
    await expect(client.urlGroups.delete('both')).rejects.toMatchObject({ status: 404 })
  })
})

it('does not start in production', async () => {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = 'production'
  try {
    await expect(startQstash({ token, ...keys })).rejects.toThrow('does not start in production')
  } finally {
    process.env.NODE_ENV = before
  }
})

it('says which port is taken', async () => {
  const { qstash } = await qstashWorld()
  await expect(startQstash({ token, ...keys, port: qstash.port })).rejects.toThrow(`Port ${qstash.port}`)
})
