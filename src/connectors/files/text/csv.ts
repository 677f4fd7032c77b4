import type { Column, ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { cellsOf, decodeBlock } from './block.ts'
import { BadCell, parseColumn } from './cells.ts'
import type { Cells } from './cells.ts'
import { badBytes, badCell } from './failures.ts'
import type { Header } from './header.ts'
import { guessText, newGuess, typeOf } from './infer.ts'
import type { Sample } from './sample.ts'
import { makeFields, scanRows } from './scan.ts'
import type { Fields, RowProblem } from './scan.ts'
import type { RowCutter } from './rows.ts'

const batchRows = 50_000
/** Bounds the memory for where the fields lie, when there are many columns. */
const batchFields = 600_000

/** The types that the rows of the sample suggest. */
export function inferCsv(sample: Sample, { names, delimiter, bodyAt }: Header): ColumnType[] {
  const columns = names.length
  const maxRows = Math.max(1, Math.min(20_000, Math.floor(batchFields / columns)))
  const fields = makeFields(maxRows * columns)
  const options = { isEnd: sample.isWhole, delimiter, columns, maxRows }
  const { rows, next } = scanRows(sample.bytes, bodyAt, sample.bytes.length, options, fields)
  const decoded = decodeBlock(sample.bytes.subarray(bodyAt, next))
  // What cannot be decoded fails with its row when it is read.
  if (!('text' in decoded)) return names.map(() => 'text')
  const cells = cellsOf(
    { bytes: sample.bytes, from: bodyAt, to: next, text: decoded.text },
    fields,
    columns,
    rows,
  )
  return names.map((_, column) => guessColumn(cells, column))
}

function guessColumn(cells: Cells, column: number): ColumnType {
  const guess = newGuess()
  for (let row = 0, slot = column; row < cells.rows; row++, slot += cells.columns) {
    const value = cells.textOf(slot)
    guessText(guess, value)
    if (guess.seen.has('text')) break
  }
  const type = typeOf(guess)
  try {
    parseColumn(cells, column, { name: '', type, nullable: true })
    return type
  } catch (error) {
    // It looks like the type and is not, like February 30th.
    if (error instanceof BadCell) return 'text'
    throw error
  }
}

/** Cuts CSV rows out of a window, as the wanted columns. */
export function csvRows(
  file: string,
  header: Header,
  schema: ColumnSpec[],
  wanted: ColumnSpec[],
  declared: ReadonlySet<string>,
): RowCutter {
  const columns = header.names.length
  const { delimiter } = header
  const maxRows = Math.max(1, Math.min(batchRows, Math.floor(batchFields / columns)))
  const places = wanted.map((spec) => ({ spec, index: schema.findIndex((one) => one.name === spec.name) }))
  let fields: Fields | undefined

  return {
    cut({ bytes, from, to, isEnd, offset }, firstRow) {
      fields ??= makeFields(maxRows * columns)
      const scanned = scanRows(bytes, from, to, { isEnd, delimiter, columns, maxRows }, fields)
      const { rows, next, problem } = scanned
      // Rows before a problem are not handed out: the step fails as a whole, and says the first thing that is wrong.
      const decoded = decodeBlock(bytes.subarray(from, next))
      if (!('text' in decoded)) {
        const row = firstRow + rowsBefore(fields, columns, rows, from + decoded.badAt)
        throw badBytes(file, row, decoded.what, offset + decoded.badAt)
      }
      // Rows before a problem are not handed out: the step fails as a whole.
      if (problem) throw badRow(file, firstRow + rows, problem, header)
      if (rows === 0) {
        return next > from
          ? { kind: 'rows', rows: 0, next, columns: [] }
          : { kind: 'incomplete', inQuote: scanned.inQuote }
      }
      const cells = cellsOf({ bytes, from, to: next, text: decoded.text }, fields, columns, rows)
      return { kind: 'rows', rows, next, columns: parse(cells, firstRow) }
    },
  }

  function parse(cells: Cells, firstRow: number): Column[] {
    return places.map(({ spec, index }) => {
      try {
        return parseColumn(cells, index, spec)
      } catch (error) {
        if (!(error instanceof BadCell)) throw error
        throw badCell(file, firstRow + error.row, error, declared.has(spec.name) ? 'declared' : 'infer')
      }
    })
  }
}

/** How many of the rows lie wholly before this byte. */
function rowsBefore({ ends }: Fields, columns: number, rows: number, at: number): number {
  let row = 0
  while (row < rows && (ends[row * columns + columns - 1] ?? 0) <= at) row++
  return row
}

function badRow(file: string, row: number, problem: RowProblem, { names }: Header): StepFailure {
  const where = `The file "${file}", row ${row}`
  switch (problem.kind) {
    case 'ragged':
      return new StepFailure(
        'bad_csv',
        `${where}: it has ${problem.found} ${problem.found === 1 ? 'field' : 'fields'}, the header has ${names.length}. A field with a delimiter in it needs quotes.`,
      )
    case 'after_quote':
      return new StepFailure(
        'bad_csv',
        `${where}, field ${problem.column + 1}: text follows its closing quote. Write a quote within quotes twice.`,
      )
    case 'unterminated':
      return new StepFailure('bad_csv', `${where}, field ${problem.column + 1}: its quote is never closed.`)
  }
}
