import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { checkConnection } from '#src/connectors/postgres/check.ts'
import { postgresConfig, postgresSecret } from '#src/connectors/postgres/config.ts'
import { explain } from '#src/connectors/postgres/failure.ts'
import { resolveTarget } from '#src/connectors/postgres/resolve.ts'
import { PostgresSession } from '#src/connectors/postgres/session.ts'
import { here, password, startWarehouse, type Warehouse } from './warehouse.ts'

let warehouse: Warehouse
beforeAll(async () => {
  warehouse = await startWarehouse()
})
afterAll(() => warehouse.stop())

describe('a check', () => {
  it('says what it reached', async () => {
    const result = await checkConnection(warehouse.connection, here)
    expect(result).toEqual({
      ok: true,
      detail: expect.stringMatching(/^PostgreSQL 18\S*, database "warehouse", user "weir"\.$/),
    })
  })

  it.each([
    ['wrong_password', {}, 'a wrong secret', 'the password for user "weir" is wrong'],
    ['wrong_password', { user: 'nobody"; --' }, password, 'the password for user "nobody"; --" is wrong'],
    ['unknown_database', { database: 'nowhere' }, password, 'no database "nowhere"'],
    ['connection_refused', { port: 1 }, password, '127.0.0.1:1'],
    ['tls_unsupported', { ssl: 'require' as const }, password, 'does not offer encryption'],
    ['bad_host', { host: '/var/run/postgresql' }, password, 'not the name or address of a host'],
  ])('says %s for %j', async (code, config, secret, words) => {
    const result = await checkConnection(warehouse.with(config, secret), here)
    expect(result).toEqual({ ok: false, code, detail: expect.stringContaining(words) })
    expect(result.detail).toContain('Connection "the warehouse": ')
    expect(result.detail).not.toContain(secret)
  })

  it.each([
    '127.0.0.1',
    '2130706433',
    'localhost',
    '10.0.0.8',
    '169.254.169.254',
    '[::ffff:127.0.0.1]',
    'db',
  ])('refuses the private host %s without trying it', async (host) => {
    const result = await checkConnection(warehouse.with({ host }))
    expect(result).toMatchObject({ ok: false, code: 'private_address' })
  })

  it.each([
    ['private_address', ['10.0.0.8']],
    ['private_address', ['8.8.8.8', '::ffff:127.0.0.1']],
    ['private_address', ['2606:4700:4700::1111', 'fd00::1']],
    ['unknown_host', []],
  ])('says %s for a public name with the addresses %j', async (code, addresses) => {
    const lookup = (host: string) => Promise.resolve(host === 'db.example.org' ? addresses : ['8.8.8.8'])
    const result = await checkConnection(warehouse.with({ host: 'DB.example.org.' }), { lookup })
    expect(result).toMatchObject({ ok: false, code, detail: expect.stringContaining('DB.example.org') })
  })

  it('connects to the very address that it judged, and still checks the certificate of the name', async () => {
    const target = await resolveTarget(warehouse.with({ host: 'db.example.org' }), {
      lookup: () => Promise.resolve(['2606:4700:4700::1111', '8.8.8.8']),
    })
    expect(target).toEqual({ host: 'db.example.org', address: '8.8.8.8' })
  })

  it('ends in time when nobody answers, and leaves no socket behind', async () => {
    const sockets = new Set<Socket>()
    const silent = await listen((socket) => {
      sockets.add(socket)
      socket
        .resume()
        .on('close', () => sockets.delete(socket))
        .on('error', () => undefined)
    })
    try {
      const { port } = silent.address() as AddressInfo
      const result = await checkConnection(warehouse.with({ port }), { ...here, connectTimeoutMs: 100 })
      expect(result).toMatchObject({ ok: false, code: 'connect_timeout' })
      await expect.poll(() => sockets.size).toBe(0)
    } finally {
      silent.close()
    }
  })

  it('survives a peer that is no PostgreSQL', async () => {
    const web = await listen((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    )
    try {
      const { port } = web.address() as AddressInfo
      const result = await checkConnection(warehouse.with({ port }), { ...here, connectTimeoutMs: 2000 })
      expect(result.ok).toBe(false)
      expect(result.detail).toContain('Connection "the warehouse": ')
    } finally {
      web.close()
    }
  })
})

describe('a session', () => {
  it('says a refused statement in words without its values, and goes on', async () => {
    const session = await PostgresSession.open(warehouse.connection, here)
    try {
      const failure = session.query(`select 'a row''s own value'::int4`)
      await expect(failure).rejects.toMatchObject({ code: 'bad_value', retryable: false })
      await expect(failure).rejects.not.toThrow(/own value/)
      await expect(failure).rejects.not.toHaveProperty('cause')
      expect(await session.query('select $1::text as answer', ['still here'])).toEqual([
        { answer: 'still here' },
      ])
    } finally {
      await session.close()
    }
  })

  it('ends at once, with the reason, when its signal says so', async () => {
    const stop = new AbortController()
    const session = await PostgresSession.open(warehouse.connection, { ...here, signal: stop.signal })
    const sleeping = session.query('select pg_sleep(60)')
    setTimeout(() => stop.abort(new Error('cancelled by its owner')), 50)
    await expect(sleeping).rejects.toThrow('cancelled by its owner')
    await session.close()
  })

  it('says that the connection was lost when the server ends it, as something to try again', async () => {
    const session = await PostgresSession.open(warehouse.connection, here)
    const [row] = await session.query('select pg_backend_pid() as pid')
    await warehouse.sql(`select pg_terminate_backend(${String(row?.['pid'])})`)
    await expect(session.query('select 1')).rejects.toMatchObject({ name: 'StepFailure', retryable: true })
    await session.close()
  })
})

describe('explain', () => {
  it('never repeats what a driver says', () => {
    const said = `duplicate key value: Key (email)=(someone@example.org), password ${password}`
    for (const code of [
      '23505',
      '22P02',
      '42601',
      '99999',
      'XX000',
      'EPIPE',
      'CERT_HAS_EXPIRED',
      '',
      undefined,
    ]) {
      const error = Object.assign(new Error(said), { code, detail: said, where: said, query: said })
      const failure = explain(warehouse.connection, error)
      expect(`${failure.message} ${String(failure.cause)} ${failure.stack}`).not.toMatch(
        /someone|Key \(|ünïcode/,
      )
      expect(failure.message).toMatch(/^Connection "the warehouse": /)
    }
  })
})

describe('the configuration', () => {
  it('has defaults, and takes nothing that it does not know', () => {
    expect(postgresConfig.parse({ host: ' db.example.org ', database: 'd', user: 'u' })).toEqual({
      host: 'db.example.org',
      port: 5432,
      database: 'd',
      user: 'u',
      ssl: 'require',
    })
    expect(postgresConfig.safeParse({ host: 'h', database: 'd', user: 'u', password: 'p' }).success).toBe(
      false,
    )
    expect(postgresConfig.safeParse({ host: 'h', port: 70_000, database: 'd', user: 'u' }).success).toBe(
      false,
    )
    expect(postgresSecret.safeParse({ password: '' }).success).toBe(false)
  })
})

async function listen(onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onSocket)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
