import type { SQL } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'

/** One SQL statement with its parameters, ready for a transaction. */
export type Statement = { text: string; params?: readonly unknown[] }

export type StatementResult = {
  rows: Record<string, unknown>[]
  rowCount: number
  fields: { name: string; dataTypeID: number }[]
}

const dialect = new PgDialect()

export function statement(query: SQL): Statement {
  const { sql: text, params } = dialect.sqlToQuery(query)
  return { text, params }
}
