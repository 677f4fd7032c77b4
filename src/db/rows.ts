import type { Batch, ColumnSpec } from '#src/domain/column.ts'
import type { DatasetVersionId, RunId } from '#src/domain/id.ts'
import type { BulkStatement } from './bulk-session.ts'
import { quoteIdent } from './compile/quote.ts'
import { tableOf } from './datasets.ts'
import type { ClaimedStep } from './run-moves.ts'
import { arrayTypes, encodeArray, Scratch } from './wire.ts'

/**
 * The statement that adds a batch to a version's table: one array a column, in binary, unnested by the server. The arrays
 * of every second batch share their memory, so a batch may be encoded while the one before it is under way, and no more.
 */
export function rowsInsert(
  version: DatasetVersionId,
  columns: readonly ColumnSpec[],
): (batch: Batch) => BulkStatement {
  const names = columns.map((column) => quoteIdent(column.name))
  // Set-returning functions in the target list go row by row; in FROM each of them would be stored in full first.
  const values = columns.map(
    ({ type }, i) => `unnest($${i + 1}::${arrayTypes[type].param})${arrayTypes[type].cast}`,
  )
  const text = `insert into ${tableOf(version)} (${names.join(', ')}) select ${values.join(', ')}`
  const memory = [columns.map(() => new Scratch()), columns.map(() => new Scratch())]
  let batches = 0
  return (batch) => {
    const scratches = memory[batches++ % 2] ?? []
    return { text, params: batch.columns.map((column, i) => encodeArray(column, scratches[i])) }
  }
}

/** The statement that stores how far a step has got, in the transaction of the rows that it stands behind. */
export const checkpoint = (
  runId: RunId,
  step: ClaimedStep,
  cursor: Record<string, unknown>,
  rowsIn: number,
  rowsOut: number,
  leaseMs: number,
): BulkStatement => ({
  text: 'select app.checkpoint($1, $2, $3, $4, $5::jsonb, $6, $7, $8)',
  params: [runId, step.key, step.mapIndex, step.fence, JSON.stringify(cursor), rowsIn, rowsOut, leaseMs],
})
