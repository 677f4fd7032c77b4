import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import { freePort } from '#local/ports.ts'
import { startStack } from '#local/stack.ts'
import { environment } from '#src/env.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-stack-'))
})
afterAll(() => rm(dir, { recursive: true }))

const answers = (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  )

describe('the local stack', () => {
  it('starts all parts, keeps its addresses and what is in it, and is gone after it was stopped', async () => {
    const lines: string[] = []
    const first = await startStack({ dir, worker: 'none', log: (line) => lines.push(line) })
    expect(environment.safeParse(first.env).error).toBeUndefined()
    expect(lines).toEqual([
      'PostgreSQL is ready',
      'The Neon gateway is ready',
      'Redis is ready',
      'QStash is ready',
      'Object storage is ready',
      'The mail service is ready',
      expect.stringMatching(/^Migrated: 0000_/),
    ])
    const warehouse = new pg.Client({ connectionString: first.warehouseUrl })
    await warehouse.connect()
    await warehouse.query('create table kept as select 7 as n')
    await warehouse.end()
    await expect(startStack({ dir, worker: 'none' })).rejects.toThrow(`runs in ${dir}: stop it first`)
    await first.stop()
    expect(
      await Promise.all(
        ['QSTASH_URL', 'UPSTASH_REDIS_REST_URL', 'S3_ENDPOINT'].map((name) => answers(first.env[name] ?? '')),
      ),
    ).toEqual([false, false, false])

    const second = await startStack({ dir, worker: 'none' })
    onTestFinished(() => second.stop())
    expect(second.env).toEqual(first.env)
    const again = new pg.Client({ connectionString: second.warehouseUrl })
    await again.connect()
    expect((await again.query('select n from kept')).rows).toEqual([{ n: 7 }])
    await again.end()
  })

  it("keeps the warehouse's login out of Weir's own database", async () => {
    const stack = await startStack({ dir, worker: 'none' })
    onTestFinished(() => stack.stop())
    const client = new pg.Client({ connectionString: stack.warehouseUrl.replace(/\/warehouse$/, '/weir') })
    await expect(client.connect()).rejects.toThrow('permission denied for database "weir"')
  })

  it('stops what it had started when a later part cannot start', async () => {
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => new Promise<void>((done) => void server.close(() => done())))
    const address = server.address()
    const taken = address !== null && typeof address === 'object' ? address.port : 0
    const ports = { postgres: await freePort(), s3: taken }
    const failed = startStack({ dir, worker: 'none', ports })
    await expect(failed).rejects.toThrow(`Port ${taken} is in use, and object storage needs it`)
    const client = new pg.Client({
      connectionString: `postgresql://postgres:x@127.0.0.1:${ports.postgres}/postgres`,
    })
    await expect(client.connect()).rejects.toThrow('ECONNREFUSED')
    await expect(readFile(join(dir, 'lock'))).rejects.toThrow('ENOENT')
  })

  it('stops what it had started when it is told to end in the middle', async () => {
    const stopping = new AbortController()
    const ports = { postgres: await freePort() }
    const log = (line: string) => {
      if (line === 'Redis is ready') stopping.abort()
    }
    await expect(startStack({ dir, worker: 'none', ports, log, signal: stopping.signal })).rejects.toThrow(
      'aborted',
    )
    const client = new pg.Client({
      connectionString: `postgresql://postgres:x@127.0.0.1:${ports.postgres}/postgres`,
    })
    await expect(client.connect()).rejects.toThrow('ECONNREFUSED')
  })

  it('leans on a real service where a variable names one', async () => {
    const variables = {
      UPSTASH_REDIS_REST_URL: 'https://redis.example',
      UPSTASH_REDIS_REST_TOKEN: 'a-token-of-the-real-one',
    }
    const stack = await startStack({ dir, worker: 'none', variables })
    onTestFinished(() => stack.stop())
    expect(stack.env).toMatchObject(variables)
    expect(stack.parts.redis).toBeUndefined()
  })

  it('starts nothing when a variable is missing', async () => {
    const variables = { S3_ENDPOINT: 'https://s3.example' }
    await expect(startStack({ dir, variables })).rejects.toThrow(
      'S3_SECRET_ACCESS_KEY: is needed because S3_ENDPOINT is set',
    )
  })
})
