import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startPostgres, type Postgres } from '#local/postgres.ts'

let folder: string
let running: Postgres[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-postgres-'))
})

afterAll(async () => {
  await Promise.all(running.map((each) => each.stop()))
  await rm(folder, { recursive: true, force: true })
})

async function start(name: string, port?: number): Promise<Postgres> {
  const postgres = await startPostgres({ dir: join(folder, name), ...(port === undefined ? {} : { port }) })
  running.push(postgres)
  return postgres
}

async function query<Row extends pg.QueryResultRow>(
  postgres: Postgres,
  sql: string,
  database?: string,
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: postgres.superuserUrl(database) })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

describe('the local PostgreSQL', () => {
  it('is version 18, durable, and has its superuser password only in a file of mode 600', async () => {
    const postgres = await start('plain')
    const [row] = await query<Record<string, string>>(
      postgres,
      `select current_setting('server_version_num')::int / 10000 as major, current_setting('fsync') as fsync,
        current_setting('shared_buffers') as buffers, current_setting('max_connections') as connections,
        current_setting('max_wal_size') as wal, current_setting('TimeZone') as zone`,
    )
    expect(row).toEqual({
      major: 18,
      fsync: 'on',
      buffers: '256MB',
      connections: '200',
      wal: '4GB',
      zone: 'UTC',
    })
    const file = join(folder, 'plain', 'superuser-password')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(postgres.superuserUrl()).toContain(
      `:${(await readFile(file, 'utf8')).trim()}@127.0.0.1:${postgres.port}/postgres`,
    )
  })

  it('asks everybody for a password', async () => {
    const postgres = await start('plain-2')
    const wrong = postgres.superuserUrl().replace(/:[^:@]+@/, ':wrong@')
    const client = new pg.Client({ connectionString: wrong })
    await expect(client.connect()).rejects.toThrow('password authentication failed')
  })

  it('creates databases with any name', async () => {
    const postgres = await start('names')
    await postgres.createDatabase('Ein "Name" für alle')
    expect(await query(postgres, 'select current_database() as name', 'Ein "Name" für alle')).toEqual([
      { name: 'Ein "Name" für alle' },
    ])
  })

  it('keeps its state and its password over a stop', async () => {
    const first = await start('kept')
    await query(first, 'create table t as select 1 as a')
    await first.stop()
    const second = await start('kept')
    expect(await query(second, 'select a from t')).toEqual([{ a: 1 }])
  })

  it('recovers what was committed before a kill, on the same port', async () => {
    const first = await start('killed')
    await query(first, 'create table t (a int); insert into t values (1)')
    const busy = query(first, 'select pg_sleep(60)').catch((error: unknown) => error)
    await query(first, 'insert into t values (2)')
    await first.kill()
    expect(await busy).toBeInstanceOf(Error)
    const second = await start('killed', first.port)
    expect(await query(second, 'select sum(a)::int as sum from t')).toEqual([{ sum: 3 }])
  })

  it('starts where the lock file of a dead server names a living stranger', async () => {
    const first = await start('stale')
    const lock = join(folder, 'stale', 'data', 'postmaster.pid')
    const lines = (await readFile(lock, 'utf8')).split('\n')
    await first.kill()
    await writeFile(lock, [String(process.pid), ...lines.slice(1)].join('\n'))
    const second = await start('stale')
    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('takes over from a server whose owner is gone', async () => {
    const first = await start('orphan')
    await writeFile(join(folder, 'orphan', 'owner.pid'), '4194304')
    const second = await start('orphan')
    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }])
    await expect(query(first, 'select 1')).rejects.toThrow('ECONNREFUSED')
  })

  it('stops when the process that started it is killed', async () => {
    const dir = join(folder, 'left')
    const start = `import { startPostgres } from ${JSON.stringify(import.meta.resolve('#local/postgres.ts'))}
      console.log((await startPostgres({ dir: ${JSON.stringify(dir)} })).port)`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', start], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const port = Number(await new Promise((done) => owner.stdout.once('data', done)))
    const connects = () =>
      new Promise<boolean>((done) => {
        const socket = connect(port, '127.0.0.1', () => done(true))
        socket.once('error', () => done(false))
        socket.once('connect', () => socket.destroy())
      })
    expect(await connects()).toBe(true)
    owner.kill('SIGKILL')
    for (let time = 0; time < 250 && (await connects()); time++)
      await new Promise((done) => setTimeout(done, 20))
    expect(await connects()).toBe(false)
  })

  it('says so when the folder is in use', async () => {
    const first = await start('twice')
    await expect(start('twice')).rejects.toThrow(/already runs on .*twice/)
    expect(await query(first, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('names the port that is taken', async () => {
    const squatter = createServer().listen(0, '127.0.0.1')
    await new Promise((done) => squatter.once('listening', done))
    const { port } = squatter.address() as AddressInfo
    await expect(start('port', port)).rejects.toThrow(`Port ${port} on 127.0.0.1 is already in use`)
    await new Promise((done) => squatter.close(done))
  })

  it('shows the last lines of the log when it does not start', async () => {
    const first = await start('broken')
    await first.stop()
    await writeFile(join(folder, 'broken', 'data', 'postgresql.auto.conf'), 'no_such_setting = 1\n')
    await expect(start('broken')).rejects.toThrow(/did not start[^]*no_such_setting/)
  })

  it('begins anew after an interrupted first start, and says when the password file is lost', async () => {
    const dir = join(folder, 'half')
    await mkdir(join(dir, 'data.new', 'base'), { recursive: true })
    const first = await start('half')
    await first.stop()
    await rm(join(dir, 'superuser-password'))
    await expect(start('half')).rejects.toThrow(/password file .* is missing/)
  })
})
