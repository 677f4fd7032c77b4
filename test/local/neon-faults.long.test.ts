import { join } from 'node:path'

import { Client, NeonDbError, type NeonQueryFunction } from '@neondatabase/serverless'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { startPostgres } from '#local/postgres.ts'

import { http, post, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack
let sql: NeonQueryFunction<false, false>

beforeAll(async () => {
  stack = await startNeonStack()
  sql = http(stack)
  await sql`create table marks (id int primary key)`
})

afterEach(() => stack.gateway.faults.clear())
afterAll(() => stack.stop())

const one = () => sql`select 1 as one`
/** Connecting with a pipelined password ends before the server has said anything, so a query belongs to it. */
async function ask(): Promise<unknown[]> {
  const client = new Client(stack.url)
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query('select 1 as one')
  await client.end()
  return rows
}

const works = async () => expect(await one()).toEqual([{ one: 1 }])

describe('faults on command', () => {
  it('close the connection without an answer, for the next requests only', async () => {
    stack.gateway.faults.inject({ kind: 'refuse' }, { times: 2 })
    await expect(one()).rejects.toThrow('Error connecting to database')
    await expect(one()).rejects.toThrow('Error connecting to database')
    await works()
  })

  it('answer 500 with a text until they are taken back', async () => {
    const takeBack = stack.gateway.faults.inject({ kind: 'serverError', text: 'upstream is down' })
    await expect(one()).rejects.toThrow('Server error (HTTP status 500): upstream is down')
    await expect(one()).rejects.toThrow('Server error (HTTP status 500): upstream is down')
    takeBack()
    await works()
  })

  it.each(['40001', '57014', '53300'])('answer 400 with %s and run nothing', async (code) => {
    stack.gateway.faults.inject({ kind: 'sqlstate', code }, { times: 1 })
    await expect(sql`insert into marks values (1)`).rejects.toMatchObject({
      name: 'NeonDbError',
      code,
      severity: 'ERROR',
    })
    expect(await sql`select * from marks`).toEqual([])
  })

  it('strike only the statements they are meant for', async () => {
    stack.gateway.faults.inject(
      { kind: 'sqlstate', code: '40001' },
      { when: (text) => text.startsWith('insert') },
    )
    await works()
    await expect(sql.transaction([one(), sql`insert into marks values (1)`])).rejects.toMatchObject({
      code: '40001',
    })
    await works()
  })

  it('make requests and new sessions late', async () => {
    stack.gateway.faults.inject({ kind: 'latency', ms: 200 }, { times: 2 })
    const startedAt = performance.now()
    await works()
    const client = new Client(stack.url)
    await client.connect()
    expect(performance.now() - startedAt).toBeGreaterThan(390)
    await client.end()
  })

  it('lose the reply of a batch that was committed', async () => {
    stack.gateway.faults.inject({ kind: 'dropReply' }, { times: 1, when: (text) => text.includes('marks') })
    await expect(sql.transaction([sql`insert into marks values (7)`])).rejects.toThrow(
      'Error connecting to database',
    )
    expect(await sql`select * from marks`).toEqual([{ id: 7 }])
  })

  it('cut WebSocket sessions in the middle of a query', async () => {
    const client = new Client(stack.url)
    client.on('error', () => undefined)
    await client.connect()
    const failed = client.query('select pg_sleep(30)').catch((error: unknown) => error)
    await new Promise((done) => setTimeout(done, 100))
    expect(stack.gateway.faults.cutSessions()).toBe(1)
    expect(await failed).toMatchObject({ message: 'Connection terminated unexpectedly' })
    expect(stack.gateway.faults.cutSessions()).toBe(0)
  })

  it('refuse new sessions', async () => {
    stack.gateway.faults.inject({ kind: 'refuse' }, { times: 1 })
    await expect(ask()).rejects.toBeDefined()
    await expect(ask()).resolves.toEqual([{ one: 1 }])
  })

  it('are counted with everything else', async () => {
    const before = { ...stack.gateway.stats }
    await sql.transaction([one(), one()])
    await expect(sql`select 1 / 0`).rejects.toThrow('division by zero')
    expect(stack.gateway.stats).toEqual({
      requests: before.requests + 2,
      statements: before.statements + 3,
      failures: before.failures + 1,
      sessions: before.sessions,
    })
  })
})

describe('a PostgreSQL that dies', () => {
  it('fails what runs in words, refuses while it is down, and serves again after a restart', async () => {
    const client = new Client(stack.url)
    client.on('error', () => undefined)
    await client.connect()
    const cut = new Promise((done) => client.once('end', done))
    const running = Array.from({ length: 30 }, () =>
      sql`select pg_sleep(30)`.catch((error: unknown) => error),
    )
    await new Promise((done) => setTimeout(done, 300))
    await stack.postgres.kill()
    for (const error of await Promise.all(running)) expect(error).toBeInstanceOf(NeonDbError)
    await cut

    const reply = await post(stack, { query: 'select 1' })
    expect(reply.status).toBe(500)
    expect(await reply.json()).toMatchObject({ message: "Couldn't connect to compute node", code: '' })
    await expect(ask()).rejects.toThrow('Connection terminated unexpectedly')

    stack.postgres = await startPostgres({ dir: join(stack.dir, 'postgres'), port: stack.postgres.port })
    await works()
    const answers = await Promise.all(Array.from({ length: 32 }, one))
    expect(answers).toHaveLength(32)
  })

  it('passes on why the server ends a session', async () => {
    const failed = sql`select pg_sleep(30) as end_me`.catch((error: unknown) => error)
    await new Promise((done) => setTimeout(done, 200))
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where query like '%end_me%' and pid <> pg_backend_pid()`
    expect(await failed).toMatchObject({ name: 'NeonDbError', code: '57P01', severity: 'FATAL' })
    await works()
  })
})
