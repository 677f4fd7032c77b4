import { StepFailure } from '#src/domain/failure.ts'
import type { BadCell } from './cells.ts'
import { maxRowBytes } from './window.ts'

/** The failures that CSV and NDJSON share. Rows count from 1, without the header. */
export function badCell(
  file: string,
  row: number,
  { spec, message }: BadCell,
  declare: 'infer' | 'declared',
): StepFailure {
  const advice =
    declare === 'infer' && spec.type !== 'text' && spec.type !== 'json'
      ? `The type ${spec.type} was inferred from the beginning of the file; declare the column as text, or correct the value.`
      : `The column is declared as ${spec.type}; correct the value, or declare the column as text.`
  return new StepFailure(
    'bad_value',
    `The file "${file}", row ${row}, column "${spec.name}": ${message}. ${advice}`,
  )
}

export function badBytes(file: string, row: number, what: 'utf8' | 'nul', offset: number): StepFailure {
  return what === 'nul'
    ? new StepFailure(
        'bad_value',
        `The file "${file}", row ${row}: it holds a NUL byte (at byte ${offset}), which no text in a database can; remove it.`,
      )
    : new StepFailure(
        'bad_encoding',
        `The file "${file}", row ${row}: the byte at ${offset} is not UTF-8; save the file as UTF-8.`,
      )
}

export function tooLong(file: string, row: number, inQuote: boolean): StepFailure {
  const why = inQuote ? ' A quote may have been left open.' : ''
  return new StepFailure(
    'row_too_long',
    `The file "${file}", row ${row}: it is longer than ${maxRowBytes / 2 ** 20} MB.${why}`,
  )
}
