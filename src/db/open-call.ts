import { sql, type SQL } from 'drizzle-orm'
import type { Database } from './database.ts'

/** Calls one function of the schema app without a claim and gives what it returned. The caller names its type. */
export async function openCall<R>(database: Database, call: SQL): Promise<R> {
  const [result] = await database.open(database.sql.execute<{ value: R }>(sql`select ${call} as value`))
  const rows: readonly { value: R }[] = result.rows
  return rows[0]?.value as R
}
