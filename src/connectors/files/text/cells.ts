import type { Column, ColumnSpec } from '#src/domain/column.ts'
import { BadValue, checkJsonText, excerpt, roomForText } from '../strings.ts'
import {
  parseBoolean,
  parseDate,
  parseDecimal,
  parseDouble,
  parseInteger,
  parseLong,
  parseTimestamp,
} from './parse.ts'
import type { Fields } from './scan.ts'

/** Rows that were scanned: their bytes, where the fields lie, and the same bytes as a string. */
export type Cells = {
  bytes: Uint8Array
  fields: Fields
  columns: number
  rows: number
  textOf(slot: number): string
}

/** A value that is not of its column's type. `row` counts from 0 within the cells. */
export class BadCell extends Error {
  readonly row: number
  readonly spec: ColumnSpec
  constructor(row: number, spec: ColumnSpec, message: string) {
    super(message)
    this.row = row
    this.spec = spec
  }
}

/** One column of the cells as its typed array. Empty is null, except that a quoted empty text is ''. */
export function parseColumn(cells: Cells, index: number, spec: ColumnSpec): Column {
  const { bytes, fields, columns, rows } = cells
  const { starts, ends, kinds } = fields
  let nulls: Uint8Array | undefined
  let row = 0

  const setNull = (): void => {
    ;(nulls ??= new Uint8Array(rows))[row] = 1
  }
  /** Calls `parse` with the trimmed bounds of each field that is not empty; what it returns says whether it fits. */
  const each = (parse: (start: number, end: number, row: number) => boolean): void => {
    for (let slot = index; row < rows; row++, slot += columns) {
      let start = starts[slot] ?? 0
      let end = ends[slot] ?? 0
      while (start < end && bytes[start] === 0x20) start++
      while (start < end && bytes[end - 1] === 0x20) end--
      if (start === end) setNull()
      else if (!parse(start, end, row)) throw new BadValue(`is not ${nouns[spec.type]}`)
    }
  }
  const column = (): Column => {
    const { name, type } = spec
    switch (type) {
      case 'boolean': {
        const values = new Uint8Array(rows)
        each((start, end, at) => parseBoolean(bytes, start, end, values, at))
        return { name, type, values }
      }
      case 'integer': {
        const values = new Int32Array(rows)
        each((start, end, at) => parseInteger(bytes, start, end, values, at))
        return { name, type, values }
      }
      case 'date': {
        const values = new Int32Array(rows)
        each((start, end, at) => parseDate(bytes, start, end, values, at))
        return { name, type, values }
      }
      case 'bigint': {
        const values = new BigInt64Array(rows)
        const halves = new Int32Array(values.buffer)
        each((start, end, at) => parseLong(bytes, start, end, halves, at))
        return { name, type, values }
      }
      case 'timestamp':
      case 'timestamptz': {
        const values = new BigInt64Array(rows)
        const halves = new Int32Array(values.buffer)
        const isZoned = type === 'timestamptz'
        each((start, end, at) => parseTimestamp(bytes, start, end, isZoned, halves, at))
        return { name, type, values }
      }
      case 'double': {
        const values = new Float64Array(rows)
        each((start, end, at) => parseDouble(bytes, start, end, values, at))
        return { name, type, values }
      }
      case 'decimal': {
        const values = roomForText(rows).fill('')
        each((start, end, at) => parseDecimal(bytes, start, end, values, at))
        return { name, type, values }
      }
      case 'text':
      case 'json': {
        const values = roomForText(rows)
        for (let slot = index; row < rows; row++, slot += columns) {
          const value = cells.textOf(slot)
          values[row] = value
          if (value !== '') {
            if (type === 'json') checkJsonText(value)
          } else if (type === 'json' || kinds[slot] === 0) setNull()
        }
        return { name, type, values }
      }
    }
  }

  try {
    const parsed = column()
    return nulls ? { ...parsed, nulls } : parsed
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    throw new BadCell(row, spec, `${excerpt(cells.textOf(row * columns + index))} ${error.message}`)
  }
}

export const nouns: Record<ColumnSpec['type'], string> = {
  boolean: 'true or false',
  integer: 'a whole number of 32 bits',
  bigint: 'a whole number of 64 bits',
  double: 'a number',
  decimal: 'a decimal number',
  text: 'text',
  date: 'a date like 2024-02-29',
  timestamp: 'a time like 2024-02-29T12:00:00, without a zone',
  timestamptz: 'a time with its zone, like 2024-02-29T12:00:00Z',
  json: 'JSON',
}
