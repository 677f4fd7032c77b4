import type { PostgresConnection } from './config.ts'
import { PostgresSession, type SessionOptions } from './session.ts'

/** Longer than a look that is taken again and again should take. */
const statementTimeout = '60s'

/**
 * The first row of one SELECT, in a transaction that can write nothing. A statement with a parameter is sent in the
 * extended protocol, where the server takes no second one after it.
 */
export async function askPostgres(
  connection: PostgresConnection,
  select: string,
  options: SessionOptions,
): Promise<Record<string, unknown> | undefined> {
  const session = await PostgresSession.open(connection, options)
  try {
    await session.script(`begin read only; set local statement_timeout = '${statementTimeout}'`)
    const [row] = await session.query(`select * from (${select}\n) asked where $1::int = 1 limit 1`, [1])
    return row
  } finally {
    await session.close()
  }
}
