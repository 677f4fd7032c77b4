import { StepFailure } from '#src/domain/failure.ts'
import type { CheckResult } from '../connector.ts'
import type { PostgresConnection } from './config.ts'
import { PostgresSession, type SessionOptions } from './session.ts'

/** Connects, signs in and asks one question; what is wrong is said as any step would say it. */
export async function checkConnection(
  connection: PostgresConnection,
  options: SessionOptions = {},
): Promise<CheckResult> {
  try {
    const session = await PostgresSession.open(connection, options)
    try {
      const [row] = await session.query(`select current_setting('server_version') as version`)
      const { database, user } = connection.config
      return {
        ok: true,
        detail: `PostgreSQL ${String(row?.['version'])}, database "${database}", user "${user}".`,
      }
    } finally {
      await session.close()
    }
  } catch (cause) {
    if (cause instanceof StepFailure) return { ok: false, code: cause.code, detail: cause.message }
    throw cause
  }
}
