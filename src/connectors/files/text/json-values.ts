import type { Column, ColumnSpec } from '#src/domain/column.ts'
import { BadValue, checkJsonText, checkText } from '../strings.ts'
import { BadCell, nouns } from './cells.ts'
import { parseDate, parseDecimal, parseDouble, parseInteger, parseLong, parseTimestamp } from './parse.ts'

/** A number whose digits a double would lose, kept as it is written (see exactJson). */
type RawNumber = { rawJSON: string }
export const isRaw = (value: unknown): value is RawNumber =>
  typeof value === 'object' && value !== null && 'rawJSON' in value && isRawJson(value)

/** ES2025, in every runtime that Weir has, not yet in TypeScript's library. */
const exact = JSON as unknown as { rawJSON(text: string): RawNumber; isRawJSON(value: unknown): boolean }
const isRawJson = (value: unknown): boolean => exact.isRawJSON(value)
const reviveExactly = ((_key: string, value: unknown, context: { source: string }) =>
  typeof value === 'number' && context.source.length > 15
    ? exact.rawJSON(context.source)
    : value) as unknown as (key: string, value: unknown) => unknown

/** JSON.parse that keeps long numbers exact. */
export function parseJson(line: string): unknown {
  return /\d{9}[\d.]{7}/.test(line) ? JSON.parse(line, reviveExactly) : JSON.parse(line)
}

/** Collects one column's values, row by row. */
export type JsonColumn = { set(row: number, value: unknown): void; finish(rows: number): Column }

const encoder = new TextEncoder()

export function jsonColumn(spec: ColumnSpec, maxRows: number): JsonColumn {
  const { name, type } = spec
  let nulls: Uint8Array | undefined

  /** Fills the slot, or returns false when the value is not of the type. */
  const column = (): { fill: (row: number, value: unknown) => boolean; cut: (rows: number) => Column } => {
    const viaText =
      (parse: (bytes: Uint8Array, start: number, end: number, row: number) => boolean) =>
      (row: number, value: unknown): boolean => {
        if (typeof value !== 'string' && typeof value !== 'number' && !isRaw(value)) return false
        const bytes = encoder.encode(isRaw(value) ? value.rawJSON : String(value))
        return parse(bytes, 0, bytes.length, row)
      }
    switch (type) {
      case 'boolean': {
        const values = new Uint8Array(maxRows)
        const fill = (row: number, value: unknown): boolean => {
          values[row] = value === true ? 1 : 0
          return typeof value === 'boolean'
        }
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'integer': {
        const values = new Int32Array(maxRows)
        const fill = viaText((bytes, start, end, row) => parseInteger(bytes, start, end, values, row))
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'date': {
        const values = new Int32Array(maxRows)
        const fill = viaText((bytes, start, end, row) => parseDate(bytes, start, end, values, row))
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'bigint': {
        const values = new BigInt64Array(maxRows)
        const halves = new Int32Array(values.buffer)
        const slow = viaText((bytes, start, end, row) => parseLong(bytes, start, end, halves, row))
        const fill = (row: number, value: unknown): boolean => {
          if (!Number.isSafeInteger(value)) return slow(row, value)
          halves[row * 2] = value as number
          halves[row * 2 + 1] = Math.floor((value as number) / 2 ** 32)
          return true
        }
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'timestamp':
      case 'timestamptz': {
        const values = new BigInt64Array(maxRows)
        const halves = new Int32Array(values.buffer)
        const isZoned = type === 'timestamptz'
        const fill = viaText((bytes, start, end, row) =>
          parseTimestamp(bytes, start, end, isZoned, halves, row),
        )
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'double': {
        const values = new Float64Array(maxRows)
        const slow = viaText((bytes, start, end, row) => parseDouble(bytes, start, end, values, row))
        const fill = (row: number, value: unknown): boolean => {
          if (typeof value !== 'number') return slow(row, value)
          values[row] = value
          return true
        }
        return { fill, cut: (rows) => ({ name, type, values: values.slice(0, rows) }) }
      }
      case 'decimal': {
        const values: string[] = []
        const fill = viaText((bytes, start, end, row) => parseDecimal(bytes, start, end, values, row))
        return { fill, cut: (rows) => ({ name, type, values: filled(values, rows) }) }
      }
      case 'text': {
        const values: string[] = []
        const fill = (row: number, value: unknown): boolean => {
          values[row] = typeof value === 'string' ? checkText(value) : textOf(value)
          return true
        }
        return { fill, cut: (rows) => ({ name, type, values: filled(values, rows) }) }
      }
      case 'json': {
        const values: string[] = []
        const fill = (row: number, value: unknown): boolean => {
          values[row] = textOf(value)
          return true
        }
        return { fill, cut: (rows) => ({ name, type, values: filled(values, rows) }) }
      }
    }
  }

  const { fill, cut } = column()
  return {
    set(row, value) {
      if (value === null || value === undefined) {
        nulls ??= new Uint8Array(maxRows)
        nulls[row] = 1
        return
      }
      try {
        if (fill(row, value)) return
        throw new BadValue(`is not ${nouns[type]}`)
      } catch (error) {
        if (!(error instanceof BadValue)) throw error
        throw new BadCell(row, spec, `${JSON.stringify(value).slice(0, 40)} ${error.message}`)
      }
    },
    finish(rows) {
      const made = cut(rows)
      return nulls ? { ...made, nulls: nulls.slice(0, rows) } : made
    },
  }
}

/** What is not text, as JSON has it. */
function textOf(value: unknown): string {
  const text = JSON.stringify(value)
  return text.includes('\\u') ? checkJsonText(text) : text
}

/** The rows that are null left holes. */
function filled(values: string[], rows: number): string[] {
  return Array.from({ length: rows }, (_, row) => values[row] ?? '')
}
