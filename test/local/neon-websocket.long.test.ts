import { Client, neonConfig, type Pool } from '@neondatabase/serverless'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'

import { Messages } from '#local/neon/messages.ts'

import { pool, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack
let webSockets: Pool

beforeAll(async () => {
  stack = await startNeonStack()
  webSockets = pool(stack)
  await webSockets.query('create table rows (id int primary key)')
})

afterAll(async () => {
  await webSockets.end()
  await stack.stop()
})

async function connected(): Promise<Client> {
  const client = new Client(stack.url)
  client.on('error', () => undefined)
  await client.connect()
  return client
}

describe('a session over WebSocket', () => {
  it('serves Pool and Client, with parameters and types', async () => {
    expect((await webSockets.query('select $1::int as one', [1])).rows).toEqual([{ one: 1 }])
    const client = await connected()
    const { rows } = await client.query(`select $1::timestamptz as t, $2::jsonb as j, 7::int8 as big`, [
      new Date(0),
      { a: 1 },
    ])
    expect(rows).toEqual([{ t: new Date(0), j: { a: 1 }, big: '7' }])
    await client.end()
  })

  it.each([
    ['password', true],
    ['password', false],
    [false, true],
    [false, false],
  ] as const)(
    'connects with pipelineConnect %s and coalesceWrites %s',
    async (pipelineConnect, coalesceWrites) => {
      const before = {
        pipelineConnect: neonConfig.pipelineConnect,
        coalesceWrites: neonConfig.coalesceWrites,
      }
      Object.assign(neonConfig, { pipelineConnect, coalesceWrites })
      try {
        const client = await connected()
        expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
        await client.end()
      } finally {
        Object.assign(neonConfig, before)
      }
    },
  )

  it('holds a transaction that looks before it writes', async () => {
    const client = await webSockets.connect()
    await client.query('begin isolation level serializable')
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from rows')
    await client.query('insert into rows values ($1)', [Number(rows[0]?.n) + 1])
    expect((await webSockets.query('select * from rows')).rows).toEqual([])
    await client.query('commit')
    client.release()
    expect((await webSockets.query('select * from rows')).rows).toEqual([{ id: 1 }])
  })

  it('keeps a session its own: settings, notifications and temporary tables', async () => {
    const client = await connected()
    await client.query(`set app.own = 'mine'`)
    await client.query('listen news')
    const heard = new Promise<string | undefined>((done) =>
      client.on('notification', ({ payload }) => done(payload)),
    )
    await webSockets.query(`notify news, 'hello'`)
    expect(await heard).toBe('hello')
    expect((await client.query(`select current_setting('app.own') as own`)).rows).toEqual([{ own: 'mine' }])
    await client.end()
  })

  it('refuses a wrong password', async () => {
    const client = new Client(stack.url.replace('@', 'x@'))
    client.on('error', () => undefined)
    const ask = client.connect().then(() => client.query('select 1'))
    await expect(ask).rejects.toThrow('password authentication failed')
  })

  it('ends the backend when the client goes away', async () => {
    const client = await connected()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    await client.end()
    for (let time = 0; time < 100; time++) {
      const left = await webSockets.query('select 1 from pg_stat_activity where pid = $1', [rows[0]?.pid])
      if (left.rowCount === 0) return
      await new Promise((done) => setTimeout(done, 20))
    }
    expect.fail('the backend is still there')
  })

  it('tells the client when the server ends the session', async () => {
    const client = await connected()
    const ended = new Promise((done) => client.once('end', done))
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    await webSockets.query('select pg_terminate_backend($1)', [rows[0]?.pid])
    await ended
    await expect(client.query('select 1')).rejects.toThrow('not queryable')
  })
})

const megabyte = 1024 * 1024

/** Logs in over a bare WebSocket, so that nothing but the relay decides about memory. */
async function login(): Promise<WebSocket> {
  const url = new URL(stack.url)
  const webSocket = new WebSocket(`ws://${stack.gateway.host}/v2`)
  await new Promise((done) => webSocket.once('open', done))
  const out = new Messages(256)
  out.startup({ user: url.username, database: url.pathname.slice(1) })
  out.password(url.password)
  webSocket.send(out.written())
  await until(webSocket, (tail) => tail.endsWith('5a0000000549'))
  return webSocket
}

/** Resolves when the stream's last bytes, in hex, are as wanted, with how much came and the highest memory seen. */
function until(
  webSocket: WebSocket,
  isEnd: (tailHex: string) => boolean,
): Promise<{ received: number; highest: number }> {
  return new Promise((resolve) => {
    let received = 0
    let highest = 0
    let tail = Buffer.alloc(0)
    const onMessage = (data: Buffer) => {
      received += data.length
      highest = Math.max(highest, process.memoryUsage().rss)
      tail = Buffer.concat([tail, data.subarray(-16)]).subarray(-16)
      if (!isEnd(tail.toString('hex'))) return
      webSocket.off('message', onMessage)
      resolve({ received, highest })
    }
    webSocket.on('message', onMessage)
  })
}

describe('large streams over WebSocket', () => {
  it('copies 300 MB out with flat memory, to a client that reads fast or slowly', async () => {
    const webSocket = await login()
    const copy = (megabytes: number) => {
      const out = new Messages(256)
      out.query(`copy (select repeat('x', 1023) from generate_series(1, ${megabytes * 1024})) to stdout`)
      webSocket.send(out.written())
      return until(webSocket, (tail) => tail.endsWith('5a0000000549'))
    }
    await copy(32)
    const before = process.memoryUsage().rss
    const fast = await copy(300)
    expect(fast.received).toBeGreaterThan(300 * megabyte)
    expect(fast.highest - before).toBeLessThan(100 * megabyte)

    const slow = copy(300)
    webSocket.pause()
    await new Promise((done) => setTimeout(done, 2000))
    const { rows } = await webSockets.query('select bytes_processed::int as sent from pg_stat_progress_copy')
    expect(rows).toEqual([{ sent: expect.any(Number) }])
    expect(rows[0].sent).toBeLessThan(100 * megabyte)
    webSocket.resume()
    expect((await slow).received).toBeGreaterThan(300 * megabyte)
    webSocket.close()
  })

  it('copies 100 MB in, no faster than the table takes it', async () => {
    const webSocket = await login()
    const out = new Messages(1024)
    out.query(`create temp table sink (t text);
      create function pg_temp.wait() returns trigger language plpgsql as $$ begin perform pg_sleep(2); return null; end $$;
      create trigger wait before insert on sink for each statement execute function pg_temp.wait();
      copy sink from stdin`)
    webSocket.send(out.written())
    await until(webSocket, (tail) => tail.includes('47000000'))
    const line = Buffer.from(`${'y'.repeat(1023)}\n`.repeat(64))
    const message = Buffer.concat([Buffer.from([0x64, 0, 0, 0, 0]), line])
    message.writeInt32BE(line.length + 4, 1)
    const startedAt = performance.now()
    let sentEarly = 0
    for (let sent = 0; sent < 100 * megabyte; sent += line.length) {
      webSocket.send(message)
      while (webSocket.bufferedAmount > megabyte) await new Promise((done) => setTimeout(done, 1))
      if (performance.now() - startedAt < 1500) sentEarly = sent
    }
    expect(sentEarly).toBeLessThan(50 * megabyte)
    webSocket.send(Buffer.from([0x63, 0, 0, 0, 4]))
    await until(webSocket, (tail) => tail.endsWith('5a0000000549'))
    const count = new Messages(256)
    count.query('select count(*) from sink')
    webSocket.send(count.written())
    let reply = ''
    await new Promise<void>((done) =>
      webSocket.on('message', (data: Buffer) => {
        reply += data.toString('latin1')
        if (reply.includes('SELECT 1')) done()
      }),
    )
    expect(reply).toContain(String(100 * 1024))
    webSocket.close()
  })
})
