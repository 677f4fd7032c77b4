import type { OpenConnection } from '#src/connectors/connectors.ts'
import { findConnectionNamed } from '#src/db/connections.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { openConnection } from './open-connection.ts'
import type { Work } from './step.ts'

/** The connection that a step names, with its secret opened; it lives no longer than the step. */
export async function connectionNamed(work: Work, name: string): Promise<OpenConnection> {
  const connection = await findConnectionNamed(work.db, name)
  if (!connection) throw new StepFailure('no_connection', `There is no connection named "${name}".`)
  const opened = await openConnection(work.services, work.db, connection, work.signal)
  work.stepLog.hide(opened.secret)
  return opened
}
