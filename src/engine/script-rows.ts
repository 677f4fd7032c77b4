import { BadCell } from '#src/connectors/files/text/cells.ts'
import { jsonColumn } from '#src/connectors/files/text/json-values.ts'
import type { Batch, ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { nearest } from '#src/domain/spelling.ts'

/** Values that one batch may have: what they take as typed arrays and on their way to the database fits beside the rest. */
export const mostCells = 1_000_000
/** An empty mapping takes three characters here and sixty bytes in memory. */
const mostParts = 500_000

/** What a script made, as columns of the declared types; a value that is not of its column's is named with its row. */
export function scriptBatch(text: string, columns: readonly ColumnSpec[]): Batch {
  if (moreThan(text, mostParts))
    throw result(`more than ${mostParts.toLocaleString('en')} lists and mappings for one batch`)
  const rows: unknown = JSON.parse(text)
  if (!Array.isArray(rows)) throw result('what is no list once it is JSON')
  if (rows.length * columns.length > mostCells)
    throw result(`more than ${mostCells.toLocaleString('en')} values for one batch`)
  const builders = columns.map((spec) => ({ spec, column: jsonColumn(spec, rows.length) }))
  const names = new Set(columns.map(({ name }) => name))
  try {
    for (const [i, row] of (rows as unknown[]).entries()) {
      if (typeof row !== 'object' || row === null || Array.isArray(row))
        throw new StepFailure(
          'bad_row',
          `Row ${i + 1} that the script made is ${kindOf(row)}, where a mapping belongs.`,
        )
      refuseUnknown(row, names, i)
      for (const { spec, column } of builders)
        column.set(i, Object.hasOwn(row, spec.name) ? Reflect.get(row, spec.name) : null)
    }
  } catch (error) {
    if (!(error instanceof BadCell)) throw error
    throw new StepFailure(
      'bad_value',
      `Row ${error.row + 1} that the script made, column "${error.spec.name}": ${error.message}.`,
    )
  }
  return { rows: rows.length, columns: builders.map(({ column }) => column.finish(rows.length)) }
}

/** A misspelt key would be a column of nulls. */
function refuseUnknown(row: object, names: ReadonlySet<string>, i: number): void {
  for (const key of Object.keys(row)) {
    if (names.has(key)) continue
    const hint = nearest(key, [...names])
    throw new StepFailure(
      'bad_row',
      `Row ${i + 1} that the script made has "${key.slice(0, 63)}", which is not among its columns${hint ? `: did you mean "${hint}"?` : '.'}`,
    )
  }
}

function moreThan(text: string, most: number): boolean {
  let parts = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x5b || code === 0x7b) parts++
  }
  return parts > most
}

const kindOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`

const result = (words: string): StepFailure =>
  new StepFailure('script_result', `The script must give a list of rows, and it gave ${words}.`)
