import pg from 'pg'

import type { Postgres } from './postgres.ts'
import type { Secrets } from './secrets.ts'

export type Warehouse = {
  url: string
  host: string
  port: number
  database: string
  user: string
  password: string
}

/** Makes what is not there yet: Weir's database, and the warehouse with a login that reaches nothing else. */
export async function prepareDatabases(
  postgres: Postgres,
  secrets: Secrets,
): Promise<{ warehouse: Warehouse }> {
  const user = 'warehouse'
  const database = 'warehouse'
  const password = secrets.warehousePassword
  const client = new pg.Client({ connectionString: postgres.superuserUrl() })
  await client.connect()
  try {
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database')
    const known = new Set(rows.map((row) => row.datname))
    const { rowCount } = await client.query('select from pg_roles where rolname = $1', [user])
    if (!rowCount) await client.query(`create role ${user} login`)
    await client.query(`alter role ${user} password ${pg.escapeLiteral(password)}`)
    if (!known.has('weir')) await client.query('create database weir')
    if (!known.has(database)) await client.query(`create database ${database} owner ${user}`)
    await client.query(`revoke connect on database weir, ${database}, postgres from public`)
  } finally {
    await client.end()
  }
  const { host, port } = postgres
  const url = `postgresql://${user}:${password}@${host}:${port}/${database}`
  return { warehouse: { url, host, port, database, user, password } }
}

/** The Worker's role exists only after the first migration. */
export async function letWorkerIn(postgres: Postgres): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.superuserUrl() })
  await client.connect()
  try {
    await client.query('grant connect on database weir to weir_app')
  } finally {
    await client.end()
  }
}
