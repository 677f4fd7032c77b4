import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { inject } from 'vitest'

import { startPostgres, type Postgres } from '#local/postgres.ts'
import type { PostgresConnection } from '#src/connectors/postgres/config.ts'

export const password = 'pass/word with "quotes" and ünïcode'

export type Warehouse = {
  server: Postgres
  /** As the ordinary user `weir`, who owns the database but is no superuser. */
  connection: PostgresConnection
  /** The same with something else in its configuration. */
  with(config: Partial<PostgresConnection['config']>, secret?: string): PostgresConnection
  /** Runs SQL as the superuser, beside whatever is under test. */
  sql(text: string): Promise<Record<string, unknown>[]>
  /** SIGKILL, and up again on the same data. */
  crash(): Promise<void>
  stop(): Promise<void>
}

/** A PostgreSQL of the test file's own, so that it may be crashed. */
export async function startWarehouse(): Promise<Warehouse> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-warehouse-'))
  let server = await startPostgres({ dir, durability: 'kill', seed: inject('postgresSeed') })
  const sql = async (text: string, database = 'warehouse') => {
    const client = new pg.Client({ connectionString: server.superuserUrl(database) })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return [await client.query<Record<string, unknown>>(text)].flat().at(-1)?.rows ?? []
    } finally {
      await client.end()
    }
  }
  await sql(`create role weir login password ${pg.escapeLiteral(password)}`, 'postgres')
  await sql('create database warehouse owner weir', 'postgres')
  await sql('alter schema public owner to weir')
  const connection: PostgresConnection = {
    name: 'the warehouse',
    config: { host: server.host, port: server.port, database: 'warehouse', user: 'weir', ssl: 'disable' },
    secret: { password },
  }
  const warehouse: Warehouse = {
    get server() {
      return server
    },
    connection,
    with: (config, secret = password) => ({
      ...connection,
      config: { ...connection.config, ...config },
      secret: { password: secret },
    }),
    sql,
    async crash() {
      const { port } = server
      await server.kill()
      server = await startPostgres({ dir, port, durability: 'kill' })
    },
    async stop() {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
  return warehouse
}

export const here = { allowPrivate: true }
