import { describe, expect, it } from 'vitest'

import { ask, engines, post, readOnlyToken, token, useRedis } from './redis-world.ts'

describe.each(engines)('the REST protocol on %s', (engine) => {
  const world = useRedis(engine)
  const { name } = world

  it('takes a command as JSON', async () => {
    const key = name()
    expect(await world.ask('/', post(['SET', key, true, 'EX', 100]))).toMatchObject({
      status: 200,
      type: 'application/json',
      json: { result: 'OK' },
    })
    expect((await world.ask('/', post(['get', key]))).json).toEqual({ result: 'true' })
    expect((await world.ask('/', post(['TTL', key]))).json).toEqual({ result: 100 })
    expect((await world.ask('/', post(['GET', name()]))).json).toEqual({ result: null })
    expect((await world.ask('/', post(['MGET', key, name()]))).json).toEqual({ result: ['true', null] })
  })

  it('takes a command as a path, with a body and further words in the query', async () => {
    const key = name()
    const path = `/set/${encodeURIComponent(`${key}/ä`)}`
    expect((await world.ask(`${path}?EX=100&NX`, { method: 'POST', body: 'a value' })).json).toEqual({
      result: 'OK',
    })
    expect((await world.ask(`${path}?EX=100&NX`, { method: 'PUT', body: 'another' })).json).toEqual({
      result: null,
    })
    expect((await world.ask(`/get/${encodeURIComponent(`${key}/ä`)}`)).json).toEqual({ result: 'a value' })
    expect((await world.ask(`/set/${key}/v/EX/50`)).json).toEqual({ result: 'OK' })
    expect((await world.ask(`/ttl/${key}`)).json).toEqual({ result: 50 })
    expect(await world.ask(`/get/${key}`, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
  })

  it('keeps bytes that are no text', async () => {
    const key = name()
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect((await world.ask(`/set/${key}`, { method: 'POST', body: bytes })).json).toEqual({ result: 'OK' })
    expect((await world.ask(`/get/${key}`, { headers: { 'Upstash-Encoding': 'base64' } })).json).toEqual({
      result: Buffer.from(bytes).toString('base64'),
    })
    expect((await world.ask(`/strlen/${key}`)).json).toEqual({ result: 256 })
  })

  it('encodes every string of an answer, but neither OK nor errors', async () => {
    const key = name()
    const batch = [
      ['SET', key, 'OK'],
      ['GET', key],
      ['MGET', key, name()],
      ['STRLEN', key],
      ['INCR', key],
      ['PING'],
    ]
    const { json } = await world.ask('/pipeline', post(batch, { 'Upstash-Encoding': 'base64' }))
    expect(json).toEqual([
      { result: 'OK' },
      { result: 'T0s=' },
      { result: ['T0s=', null] },
      { result: 2 },
      { error: 'ERR value is not an integer or out of range' },
      { result: 'UE9ORw==' },
    ])
  })

  it("answers in Redis's own protocol", async () => {
    const key = name()
    const headers = { 'Upstash-Response-Format': 'resp2' }
    const batch = [
      ['SET', key, 'ä'],
      ['GET', key],
      ['MGET', key, name()],
      ['STRLEN', key],
      ['INCR', key],
    ]
    expect(await world.ask('/pipeline', post(batch, headers))).toMatchObject({
      status: 200,
      type: 'application/octet-stream',
      text: '+OK\r\n$2\r\nä\r\n*2\r\n$2\r\nä\r\n$-1\r\n:2\r\n-ERR value is not an integer or out of range\r\n',
    })
    expect((await world.ask(`/get/${key}`, { headers })).text).toBe('$2\r\nä\r\n')
    const refused = { ...headers, 'Upstash-Encoding': 'base64' }
    expect(await world.ask(`/get/${key}`, { headers: refused })).toMatchObject({ status: 400 })
    expect(await world.ask(`/get/${key}`, { headers: { 'Upstash-Response-Format': 'xml' } })).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('xml') },
    })
  })

  it('gives another sync token with every answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.ask('/ping')))
    expect(new Set(answers.map(({ syncToken }) => syncToken)).size).toBe(20)
    expect(answers.every(({ syncToken }) => (syncToken ?? '') !== '')).toBe(true)
  })

  it('runs all of a transaction, or none of it when one command is none', async () => {
    const key = name()
    const run = await world.ask(
      '/multi-exec',
      post([
        ['SET', key, 'x'],
        ['INCR', key],
        ['GET', key],
      ]),
    )
    expect(run).toMatchObject({
      status: 200,
      json: [{ result: 'OK' }, { error: 'ERR value is not an integer or out of range' }, { result: 'x' }],
    })
    for (const wrong of [['NONSENSE'], ['GET'], ['BLPOP', key, 0], ['GET', key, key]]) {
      const answer = await world.ask('/multi-exec', post([['SET', key, 'y'], wrong]))
      expect(answer).toMatchObject({
        status: 400,
        json: { error: expect.stringMatching(/^ERR (?!EXECABORT)/) },
      })
    }
    expect((await world.ask(`/get/${key}`)).json).toEqual({ result: 'x' })
  })

  it.each([
    ['without a token', '/get/x', { headers: { Authorization: '' } }, 401, /WRONGPASS/],
    ['with a wrong token', '/get/x', { headers: { Authorization: 'Bearer nobody' } }, 401, /WRONGPASS/],
    ['by DELETE', '/get/x', { method: 'DELETE' }, 405, /method/],
    ['for a command that is none', '/nonsense/x', {}, 400, /unknown command 'nonsense'/],
    ['with too few words', '/get', {}, 400, /wrong number of arguments for 'get'/],
    ['that holds no JSON', '/', { method: 'POST', body: '{' }, 400, /parse/],
    ['that holds no list', '/', post({ a: 1 }), 400, /parse/],
    ['with a word that is a list', '/', post(['SET', 'k', ['a']]), 400, /parse/],
    ['with a word that is null', '/', post(['SET', 'k', null]), 400, /parse/],
    ['for no command', '/', post([]), 400, /parse/],
    ['for a batch that is none', '/pipeline', post(['GET', 'x']), 400, /parse/],
    ['for an empty batch', '/pipeline', post([]), 400, /empty/],
    ['with a path that is none', '/get/%ff', {}, 400, /path/],
    ['to wait for a list', '/blpop/x/1', {}, 400, /not available: 'BLPOP'/],
    [
      'to wait for a stream',
      '/',
      post(['XREAD', 'BLOCK', '0', 'STREAMS', 'x', '$']),
      400,
      /not available: 'XREAD'/,
    ],
    ['to watch', '/watch/x', {}, 400, /not available: 'WATCH'/],
    ['for another database', '/select/1', {}, 400, /not available: 'SELECT'/],
    ['to listen without a stream', '/', post(['SUBSCRIBE', 'x']), 400, /not available: 'SUBSCRIBE'/],
    ['to silence the connection', '/client/reply/off', {}, 400, /not available: 'CLIENT'/],
    ['to listen to nothing', '/subscribe', {}, 400, /wrong number/],
  ])('refuses a request %s', async (_, path, init, status, error) => {
    expect(await world.ask(path, init)).toMatchObject({
      status,
      json: { error: expect.stringMatching(error) },
    })
  })

  it('refuses one command of a batch and runs the others', async () => {
    const key = name()
    const batch = [
      ['SET', key, 1],
      ['BLPOP', key, 0],
      ['INCR', key],
      ['SELECT', 1],
    ]
    const { json } = await world.ask('/pipeline', post(batch))
    const refused = { error: expect.stringContaining('not available') }
    expect(json).toEqual([{ result: 'OK' }, refused, { result: 2 }, refused])
  })

  it('takes the token from the query; the one in the header counts more', async () => {
    const bare = { headers: { Authorization: '' } }
    expect((await fetch(`${world.server.url}/ping?_token=${token}`)).status).toBe(200)
    expect((await fetch(`${world.server.url}/echo/x?_token=nobody`)).status).toBe(401)
    expect(await world.ask('/ping?_token=nobody', {})).toMatchObject({
      status: 200,
      json: { result: 'PONG' },
    })
    expect((await world.ask(`/ping?_token=${token}`, bare)).status).toBe(401)
  })

  it('lets a read-only token read, and no more', async () => {
    const key = name()
    await world.ask(`/set/${key}/v`)
    const headers = { Authorization: `Bearer ${readOnlyToken}` }
    expect((await world.ask(`/get/${key}`, { headers })).json).toEqual({ result: 'v' })
    for (const path of [
      `/set/${key}/w`,
      '/keys/*',
      '/scan/0',
      '/flushdb',
      '/publish/a/b',
      '/subscribe/a',
      '/monitor',
    ]) {
      const verb = path.split('/')[1]
      expect(await world.ask(path, { headers })).toMatchObject({
        status: 400,
        json: { error: `NOPERM this user has no permissions to run the '${verb}' command` },
      })
    }
    const batch = [
      ['GET', key],
      ['DEL', key],
      ['EVAL', 'return 1', 0],
    ]
    expect((await world.ask('/pipeline', post(batch, headers))).json).toEqual([
      { result: 'v' },
      { error: expect.stringContaining("'del'") },
      { error: expect.stringContaining("'eval'") },
    ])
  })

  it('takes ten megabytes and no more', async () => {
    const key = name()
    const most = 10 * 1024 * 1024
    expect((await world.ask(`/set/${key}`, { method: 'POST', body: 'x'.repeat(most) })).json).toEqual({
      result: 'OK',
    })
    expect((await world.ask(`/strlen/${key}`)).json).toEqual({ result: most })
    expect((await world.ask(`/get/${key}`)).text).toHaveLength(most + '{"result":""}'.length)
    expect(await world.ask(`/set/${key}`, { method: 'POST', body: 'x'.repeat(most + 1) })).toMatchObject({
      status: 413,
      json: { error: expect.stringContaining('max request size exceeded') },
    })
  })

  it('streams what is published', async () => {
    const channel = name()
    const stream = await open(world.server.url, `/subscribe/${channel}/${channel}:2`)
    expect(stream.type).toBe('text/event-stream')
    expect(await stream.next()).toBe(`data: subscribe,${channel},1`)
    expect(await stream.next()).toBe(`data: subscribe,${channel}:2,2`)
    expect((await world.ask(`/publish/${channel}/hello`)).json).toEqual({ result: 1 })
    expect(await stream.next()).toBe(`data: message,${channel},hello`)
    expect((await world.ask('/', post(['PUBSUB', 'NUMSUB', channel]))).json).toEqual({ result: [channel, 1] })
    stream.leave()
    await expect.poll(async () => (await world.ask(`/publish/${channel}/hello`)).json).toEqual({ result: 0 })
  })

  it('streams the commands that run', async () => {
    const key = name()
    const stream = await open(world.server.url, '/monitor', { method: 'POST' })
    expect(await stream.next()).toBe('data: "OK"')
    await world.ask(`/set/${key}/${encodeURIComponent('a "b"')}`)
    expect(await stream.next()).toMatch(
      new RegExp(String.raw`^data: \d+\.\d{6} \[0 [^\]]+\] "set" "${key}" "a \\"b\\""$`),
    )
    stream.leave()
  })

  it('goes on when a client leaves in the middle', async () => {
    const leaving = new AbortController()
    const requests = Array.from({ length: 20 }, () => world.ask('/ping', { signal: leaving.signal }))
    leaving.abort()
    const outcomes = await Promise.allSettled(requests)
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    expect((await ask(world.server.url, '/ping')).json).toEqual({ result: 'PONG' })
  })
})

/** A stream of events, one line after the other. */
async function open(url: string, path: string, init: RequestInit = {}) {
  const leaving = new AbortController()
  const headers = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' }
  const response = await fetch(`${url}${path}`, { ...init, headers, signal: leaving.signal })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    type: response.headers.get('Content-Type'),
    leave: () => leaving.abort(),
    async next(): Promise<string> {
      while (!text.includes('\n\n')) {
        const chunk = await reader?.read()
        if (chunk?.value === undefined) throw new Error(`The stream ended after ${JSON.stringify(text)}`)
        text += chunk.value
      }
      const end = text.indexOf('\n\n')
      const event = text.slice(0, end)
      text = text.slice(end + 2)
      return event
    },
  }
}
