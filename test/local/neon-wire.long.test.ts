import { request } from 'node:http'
import { connect } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'

import { startNeonGateway } from '#local/neon-gateway.ts'

import { http, post, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack

beforeAll(async () => {
  stack = await startNeonStack()
})

afterAll(() => stack.stop())

const raw = { 'Neon-Raw-Text-Output': 'true' }
const arrays = { 'Neon-Array-Mode': 'true' }
const rows = async (query: string, params: unknown[] = [], headers: Record<string, string> = arrays) => {
  const reply = await post(stack, { query, params }, headers)
  if (reply.status !== 200) throw new Error(await reply.text())
  return ((await reply.json()) as { rows: unknown[] }).rows
}

describe('the HTTP endpoint', () => {
  it('answers OPTIONS with what a browser asks for, other methods with 405, other paths with 404', async () => {
    const address = `http://${stack.gateway.host}`
    const options = await fetch(`${address}/sql`, { method: 'OPTIONS' })
    expect(options.status).toBe(200)
    expect(options.headers.get('allow')).toBe('OPTIONS, POST')
    expect(options.headers.get('access-control-allow-origin')).toBe('*')
    expect(options.headers.get('access-control-allow-headers')).toContain('Neon-Connection-String')
    expect((await fetch(`${address}/sql`)).status).toBe(405)
    expect((await fetch(`${address}/sql`, { method: 'PUT', body: '{}' })).status).toBe(405)
    expect((await fetch(`${address}/other`, { method: 'POST', body: '{}' })).status).toBe(404)
  })

  it('answers one query with its fields', async () => {
    const reply = await post(stack, { query: 'select $1::int as a', params: ['1'] }, { ...raw, ...arrays })
    expect(reply.headers.get('content-type')).toBe('application/json')
    expect(reply.headers.get('access-control-allow-origin')).toBe('*')
    expect(reply.headers.get('neon-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    expect(await reply.json()).toEqual({
      fields: [
        {
          name: 'a',
          dataTypeID: 23,
          tableID: 0,
          columnID: 0,
          dataTypeSize: 4,
          dataTypeModifier: -1,
          format: 'text',
        },
      ],
      rows: [['1']],
      command: 'SELECT',
      rowCount: 1,
      rowAsArray: true,
    })
  })

  it('tells command and row count as the tag has them', async () => {
    const tag = async (query: string) => {
      const { command, rowCount } = (await (await post(stack, { query })).json()) as Record<string, unknown>
      return [command, rowCount]
    }
    expect(await tag('create table tags (a int)')).toEqual(['CREATE', null])
    expect(await tag('insert into tags select generate_series(1, 3)')).toEqual(['INSERT', 3])
    expect(await tag('update tags set a = 1')).toEqual(['UPDATE', 3])
    expect(await tag('drop table tags')).toEqual(['DROP', null])
  })

  it('echoes the batch headers, read only and deferrable only when true', async () => {
    const queries = [{ query: 'select 1 as a' }]
    const reply = await post(
      stack,
      { queries },
      {
        'Neon-Batch-Isolation-Level': 'Serializable',
        'Neon-Batch-Read-Only': 'true',
        'Neon-Batch-Deferrable': 'false',
      },
    )
    expect(reply.headers.get('neon-batch-isolation-level')).toBe('Serializable')
    expect(reply.headers.get('neon-batch-read-only')).toBe('true')
    expect(reply.headers.get('neon-batch-deferrable')).toBe(null)
    expect(await reply.json()).toMatchObject({ results: [{ rows: [{ a: 1 }], rowAsArray: false }] })
    expect(await (await post(stack, { queries: [] })).json()).toEqual({ results: [] })
  })

  it.each([
    ['invalid isolation level', { queries: [] }, { 'Neon-Batch-Isolation-Level': 'serializable' }],
    [
      'invalid header: neon-connection-string',
      { query: 'select 1' },
      { 'Neon-Connection-String': 'nonsense' },
    ],
    [
      'invalid header: neon-connection-string',
      { query: 'select 1' },
      { 'Neon-Connection-String': 'postgres://a:b@c' },
    ],
    [
      'invalid header: neon-connection-string',
      { query: 'select 1' },
      { 'Neon-Connection-String': 'http://a:b@c/d' },
    ],
    [
      'invalid header: neon-connection-string',
      { query: 'select 1' },
      { 'Neon-Connection-String': 'postgres://a%ZZ:b@c/d' },
    ],
    [
      'missing authentication credentials: required password',
      { query: 'select 1' },
      { 'Neon-Connection-String': 'postgres://a@c/d' },
    ],
    ['logging in with a JWT is not possible', { query: 'select 1' }, { Authorization: 'Bearer x' }],
    ['could not parse the HTTP request body', '{', {}],
    ['could not parse the HTTP request body', '{}', {}],
    ['could not parse the HTTP request body', 'null', {}],
    ['could not parse the HTTP request body', { query: 'select 1', params: 'x' }, {}],
    ['could not parse the HTTP request body', { queries: [1] }, {}],
    ['invalid byte sequence for encoding "UTF8": 0x00', { query: 'select \u00001' }, {}],
    ['invalid byte sequence for encoding "UTF8": 0x00', { query: 'select $1', params: ['a\u0000b'] }, {}],
  ])('answers 400 in words: %s', async (message, body, headers) => {
    const reply = await post(stack, body, headers)
    expect(reply.status).toBe(400)
    const json = (await reply.json()) as Record<string, unknown>
    expect(json.message).toContain(message)
    expect(Object.keys(json)).toEqual(
      expect.arrayContaining([
        'code',
        'detail',
        'hint',
        'position',
        'severity',
        'where',
        'constraint',
        'routine',
      ]),
    )
    expect(await rows('select 1 as a')).toEqual([[1]])
  })

  it('refuses requests over 10 MiB with 413, by their length or by their bytes', async () => {
    const body = JSON.stringify({ query: 'select length($1)', params: ['x'.repeat(10 * 1024 * 1024)] })
    expect((await post(stack, body)).status).toBe(413)
    const status = await new Promise((resolve, reject) => {
      const chunked = request(
        {
          host: '127.0.0.1',
          port: stack.gateway.port,
          path: '/sql',
          method: 'POST',
          headers: { 'neon-connection-string': stack.url },
        },
        (reply) => resolve(reply.statusCode),
      )
      chunked.on('error', reject)
      chunked.write(body)
      chunked.end()
    })
    expect(status).toBe(413)
    const allowed = await post(stack, {
      query: 'select length($1) as n',
      params: ['x'.repeat(10 * 1024 * 1024 - 100)],
    })
    expect(allowed.status).toBe(200)
  })

  it('refuses answers over 10 MiB with 507 and undoes the rest', async () => {
    const large = `select repeat('x', 1000000) as x from generate_series(1, 40)`
    const reply = await post(stack, { query: large })
    expect(reply.status).toBe(507)
    expect(await reply.json()).toMatchObject({ message: 'response is too large (max is 10485760 bytes)' })
    expect(await rows(`select length(repeat('x', 10000000)) as n`)).toEqual([[10_000_000]])
  })

  it('closes nothing when a client sends half a request and leaves', async () => {
    const socket = connect(stack.gateway.port, '127.0.0.1')
    await new Promise((done) => socket.once('connect', done))
    socket.write(
      `POST /sql HTTP/1.1\r\nHost: x\r\nNeon-Connection-String: ${stack.url}\r\nContent-Length: 100\r\n\r\n{"query"`,
    )
    await new Promise((done) => setTimeout(done, 50))
    socket.destroy()
    expect(await rows('select 1 as a')).toEqual([[1]])
  })
})

describe('parameters', () => {
  it('become texts as in the Neon proxy', async () => {
    const seen = async (value: unknown, type = 'text') =>
      ((await rows(`select $1::${type} as v`, [value], arrays))[0] as unknown[])[0]
    expect(await seen(null)).toBe(null)
    expect(await seen(42)).toBe('42')
    expect(await seen(true)).toBe('true')
    expect(await seen({ a: [1, 'x"'] })).toBe('{"a":[1,"x\\""]}')
    expect(await seen([true, null, 'NULL', 42, 'a"b\\', [1]])).toBe('{true,NULL,"NULL",42,"a\\"b\\\\",{1}}')
    expect(await seen([1, null, 3], 'int[]')).toEqual([1, null, 3])
    expect(await seen([{ a: 1 }, { b: 'x' }], 'jsonb[]')).toEqual([{ a: 1 }, { b: 'x' }])
    expect(
      await seen(
        [
          ['a', 'b'],
          ['c', null],
        ],
        'text[]',
      ),
    ).toEqual([
      ['a', 'b'],
      ['c', null],
    ])
  })

  it('keep the digits of large numbers', async () => {
    const body = `{"query":"select $1::numeric as n, $2::numeric[] as l, $3::jsonb->>'k' as o","params":[12345678901234567890123,[0.12345678901234567890],{"k":98765432109876543210}]}`
    const reply = await post(stack, body, arrays)
    expect(((await reply.json()) as { rows: unknown }).rows).toEqual([
      ['12345678901234567890123', ['0.12345678901234567890'], '98765432109876543210'],
    ])
  })
})

describe('typed output', () => {
  it('gives booleans, numbers, JSON and arrays, and texts for all else', async () => {
    const query = `select true as b, 1::int2 as i2, 2 as i4, 3::int8 as i8, 1.5::float4 as f4, 2.5::float8 as f8, 1.50 as n,
      'NaN'::float8 as nan, '-Infinity'::float4 as inf, '{"a": [1, null]}'::jsonb as j, null::int as z,
      array[1,2] as ai, array[true,false,null] as ab, array['a','b,c','d"e','NULL',null] as at, '{{1.5,2},{3,4}}'::float8[] as af,
      array['{"x":1}'::jsonb] as aj, '[5:6]={7,8}'::int[] as bounds, '{}'::int[] as empty, array[1::int8] as a8`
    const [row] = await rows(query, [], {})
    expect(row).toMatchObject({
      b: true,
      i2: 1,
      i4: 2,
      i8: '3',
      f4: 1.5,
      f8: 2.5,
      n: '1.50',
      nan: 'NaN',
      inf: '-Infinity',
    })
    expect(row).toMatchObject({
      j: { a: [1, null] },
      z: null,
      ai: [1, 2],
      ab: [true, false, null],
      bounds: [7, 8],
      empty: [],
    })
    expect(row).toMatchObject({ at: ['a', 'b,c', 'd"e', 'NULL', null], aj: [{ x: 1 }], a8: ['1'] })
    expect(row).toMatchObject({
      af: [
        [1.5, 2],
        [3, 4],
      ],
    })
  })

  it('gives every value as its text in raw mode', async () => {
    const query = `select true as b, 2 as i, array[1,2] as a, null as z, '{"k":1}'::json as j`
    expect(await rows(query, [], raw)).toEqual([{ b: 't', i: '2', a: '{1,2}', z: null, j: '{"k":1}' }])
  })

  it('escapes every control character, quote and backslash', async () => {
    const all = Array.from({ length: 0x500 }, (_, code) => String.fromCharCode(code + 1)).join('')
    expect(await rows('select $1::text as t, $2::text as u', [all, all.slice(0, 200)], arrays)).toEqual([
      [all, all.slice(0, 200)],
    ])
  })
})

describe('the gateway itself', () => {
  it('listens on the loopback address only and does not start in production', async () => {
    expect(stack.gateway.host).toBe(`127.0.0.1:${stack.gateway.port}`)
    const before = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      await expect(startNeonGateway({ postgres: stack.postgres })).rejects.toThrow(
        'does not start in production',
      )
    } finally {
      process.env.NODE_ENV = before
    }
  })

  it('names the port that is taken', async () => {
    await expect(startNeonGateway({ postgres: stack.postgres, port: stack.gateway.port })).rejects.toThrow(
      `Port ${stack.gateway.port} is already in use`,
    )
  })

  it('works with a server that asks for SCRAM, and with a database of another encoding', async () => {
    const { writeFile, readFile } = await import('node:fs/promises')
    const rules = `${stack.dir}/postgres/data/pg_hba.conf`
    const before = await readFile(rules, 'utf8')
    const sql = http(stack)
    await sql`create role scram_user login password 'pässword'`
    await sql`create database latin encoding 'LATIN1' locale 'C' template template0`
    await writeFile(rules, 'host all all 127.0.0.1/32 scram-sha-256\n')
    await sql`select pg_reload_conf()`
    await new Promise((done) => setTimeout(done, 200))
    const reply = (password: string) =>
      post(
        stack,
        { query: `select 'ü' as u` },
        { 'Neon-Connection-String': `postgres://scram_user:${encodeURIComponent(password)}@x/latin` },
      )
    expect(await (await reply('pässword')).json()).toMatchObject({ rows: [{ u: 'ü' }] })
    expect(await (await reply('wrong')).json()).toMatchObject({ code: '28P01' })
    await writeFile(rules, before)
    await sql`select pg_reload_conf()`
  })

  it('closes a WebSocket that sends text', async () => {
    const webSocket = new WebSocket(`ws://${stack.gateway.host}/any/path?address=x:5432`)
    await new Promise((done) => webSocket.once('open', done))
    webSocket.send('hello')
    expect(await new Promise((done) => webSocket.once('close', done))).toBe(1003)
  })
})
