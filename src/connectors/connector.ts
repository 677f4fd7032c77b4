import type { Batch, ColumnSpec } from '#src/domain/column.ts'

/** A stream is what one extract reads: a table (`schema.table`) or a file (its name). */
export type Stream = {
  name: string
  columns: ColumnSpec[]
  key?: string[]
  rowEstimate?: number
  bytes?: number
}

export type CheckResult = { ok: true; detail: string } | { ok: false; code: string; detail: string }

/** Where a read has got to: JSON, opaque to the engine, committed together with the rows it stands behind. */
export type ReadState = Record<string, unknown>

export type ReadOptions = {
  stream: string
  /** Only these columns, in this order; all when absent. */
  columns?: string[]
  /** Where an earlier read of the same step stopped. */
  state?: ReadState
  /** Incremental: only rows whose cursor column is greater than `after` (text form); undefined reads everything. */
  cursor?: { column: string; after?: string }
  signal: AbortSignal
}

/**
 * One opened read. `schema` is known before the first batch. Each item is committed by the engine in one transaction
 * before the next is asked for; a read restarted with the `state` of item n yields exactly what followed item n. A batch
 * is good until the next one is asked for: its arrays may then be filled again.
 */
export type Reader = {
  schema: ColumnSpec[]
  batches: AsyncIterable<{ batch: Batch; state: ReadState }>
  /** False when a read cannot go on in the middle: opened with a state it ignores it and begins again. */
  resumable?: boolean
  close(): Promise<void>
}

export type WriteMode = 'append' | 'overwrite' | 'upsert'
