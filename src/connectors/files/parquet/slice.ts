import type { Batch, Column } from '#src/domain/column.ts'

/** How many characters of text the columns hold, shared strings counted each time. */
export function sizeOfText(columns: Column[]): number {
  let size = 0
  for (const column of columns) {
    if (column.type !== 'text' && column.type !== 'json' && column.type !== 'decimal') continue
    for (const value of column.values) size += value.length
  }
  return size
}

/** The rows from `start` to `end`, over the same memory where the arrays allow it. */
export function slice(batch: Batch, start: number, end: number): Batch {
  if (start === 0 && end === batch.rows) return batch
  return { rows: end - start, columns: batch.columns.map((column) => sliceColumn(column, start, end)) }
}

/** Each type keeps its own kind of array, which the type system cannot follow through the union. */
function sliceColumn(column: Column, start: number, end: number): Column {
  const { values, nulls } = column
  const cut = Array.isArray(values) ? values.slice(start, end) : values.subarray(start, end)
  const marks = nulls?.subarray(start, end)
  return {
    name: column.name,
    type: column.type,
    values: cut,
    ...(marks?.includes(1) && { nulls: marks }),
  } as Column
}
