import { openFile } from '#src/connectors/files/files.ts'
import type { OpenFileOptions } from '#src/connectors/files/files.ts'
import type { ReadState } from '#src/connectors/connector.ts'
import type { Column, ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Storage } from '#src/storage/storage.ts'
import { key, memoryStorage } from './memory-storage.ts'

export type Options = Omit<OpenFileOptions, 'signal' | 'name'> & { name?: string }
export type Read = { schema: ColumnSpec[]; rows: unknown[][]; states: ReadState[]; rowsBefore: number[] }

/** The value as a person would write it; null where it is null. */
export function valueAt(column: Column, row: number): unknown {
  if (column.nulls?.[row]) return null
  const value = column.values[row]
  return column.type === 'boolean' ? value === 1 : value
}

/** Reads a whole file into rows, and remembers the state after each batch. */
export async function readAll(from: Storage | Uint8Array | string, options: Options = {}): Promise<Read> {
  const storage = typeof from === 'string' || from instanceof Uint8Array ? memoryStorage(from) : from
  const reader = await openFile(storage, key, {
    name: 'data.csv',
    ...options,
    signal: new AbortController().signal,
  })
  const rows: unknown[][] = []
  const states: ReadState[] = []
  const rowsBefore: number[] = []
  for await (const { batch, state } of reader.batches) {
    for (const column of batch.columns) {
      if (column.values.length !== batch.rows)
        throw new Error(`${column.name} has ${column.values.length} of ${batch.rows} values`)
    }
    for (let row = 0; row < batch.rows; row++) rows.push(batch.columns.map((column) => valueAt(column, row)))
    states.push(JSON.parse(JSON.stringify(state)) as ReadState)
    rowsBefore.push(rows.length)
  }
  await reader.close()
  return { schema: reader.schema, rows, states, rowsBefore }
}

/** The failure that reading it must end in. */
export async function failureOf(
  from: Storage | Uint8Array | string,
  options: Options = {},
): Promise<StepFailure> {
  try {
    await readAll(from, options)
  } catch (error) {
    if (error instanceof StepFailure) return error
    throw error
  }
  throw new Error('it was read without a failure')
}
