import type { Column } from '#src/domain/column.ts'

/**
 * The few messages of the PostgreSQL frontend protocol (version 3, chapter 54) that bulk work needs, written as bytes so
 * that a typed array reaches the server without ever becoming text.
 */
export type Param = string | number | null | Uint8Array

const utf8 = new TextEncoder()
const hour = 3_600_000_000n
/** PostgreSQL counts from 2000-01-01; columns count from 1970-01-01. */
const epochDays = 10_957
const epochMicros = BigInt(epochDays) * 24n * hour

/** Parse, Bind, Execute of one statement with the unnamed portal. A Uint8Array is bound in binary, the rest as text. */
export function encodeStatement(text: string, params: readonly Param[]): Uint8Array[] {
  const sql = utf8.encode(text)
  const parse = message('P', sql.length + 4, (view, at) => {
    new Uint8Array(view.buffer).set(sql, at + 1)
    return at
  })
  const values = params.map((value) =>
    value === null || value instanceof Uint8Array ? value : utf8.encode(String(value)),
  )
  const bound = values.reduce((sum, value) => sum + 4 + (value?.length ?? 0), 0)
  const bind = message('B', 2 + 2 + 2 * params.length + 2 + bound + 2, (view, start) => {
    const bytes = new Uint8Array(view.buffer)
    let at = start + 2
    view.setInt16(at, params.length)
    at += 2
    for (const value of params) {
      view.setInt16(at, value instanceof Uint8Array ? 1 : 0)
      at += 2
    }
    view.setInt16(at, params.length)
    at += 2
    for (const value of values) {
      view.setInt32(at, value ? value.length : -1)
      at += 4
      if (value) {
        bytes.set(value, at)
        at += value.length
      }
    }
    return at
  })
  return [parse, bind, executeMessage]
}

function message(type: string, length: number, fill: (view: DataView, at: number) => number): Uint8Array {
  const bytes = new Uint8Array(5 + length)
  const view = new DataView(bytes.buffer)
  bytes[0] = type.charCodeAt(0)
  view.setInt32(1, 4 + length)
  fill(view, 5)
  return bytes
}

const executeMessage = message('E', 5, (_, at) => at)
export const syncMessage: Uint8Array = message('S', 0, (_, at) => at)

/** How each column type travels as an array parameter, and how `unnest` turns it into the table's type. */
export const arrayTypes = {
  boolean: { oid: 16, param: 'boolean[]', cast: '' },
  integer: { oid: 23, param: 'int4[]', cast: '' },
  bigint: { oid: 20, param: 'int8[]', cast: '' },
  double: { oid: 701, param: 'float8[]', cast: '' },
  decimal: { oid: 25, param: 'text[]', cast: '::numeric' },
  text: { oid: 25, param: 'text[]', cast: '' },
  date: { oid: 1082, param: 'date[]', cast: '' },
  timestamp: { oid: 1114, param: 'timestamp[]', cast: '' },
  timestamptz: { oid: 1184, param: 'timestamptz[]', cast: '' },
  json: { oid: 25, param: 'text[]', cast: '::jsonb' },
} as const

const headerBytes = 20

/** A column as a one-dimensional array in PostgreSQL's binary format (array_recv). */
export function encodeArray(column: Column): Uint8Array {
  const rows = column.values.length
  const { nulls } = column
  switch (column.type) {
    case 'boolean':
      return fixed(column, rows, 1, (view, at, i) => view.setInt8(at, column.values[i] ?? 0))
    case 'integer':
      return fixed(column, rows, 4, (view, at, i) => view.setInt32(at, column.values[i] ?? 0))
    case 'date':
      return fixed(column, rows, 4, (view, at, i) => view.setInt32(at, (column.values[i] ?? 0) - epochDays))
    case 'double':
      return fixed(column, rows, 8, (view, at, i) => view.setFloat64(at, column.values[i] ?? 0))
    case 'bigint':
      return fixed(column, rows, 8, (view, at, i) => view.setBigInt64(at, column.values[i] ?? 0n))
    case 'timestamp':
    case 'timestamptz':
      return fixed(column, rows, 8, (view, at, i) => view.setBigInt64(at, (column.values[i] ?? 0n) - epochMicros))
    case 'decimal':
    case 'text':
    case 'json':
      return texts(column.values, nulls, arrayTypes[column.type].oid)
  }
}

function fixed(
  column: Column,
  rows: number,
  width: number,
  put: (view: DataView, at: number, row: number) => void,
): Uint8Array {
  const { nulls } = column
  const bytes = new Uint8Array(headerBytes + rows * (4 + width))
  const view = new DataView(bytes.buffer)
  header(view, nulls !== undefined, arrayTypes[column.type].oid, rows)
  let at = headerBytes
  for (let i = 0; i < rows; i++) {
    if (nulls && nulls[i] === 1) {
      view.setInt32(at, -1)
      at += 4
    } else {
      view.setInt32(at, width)
      put(view, at + 4, i)
      at += 4 + width
    }
  }
  return at === bytes.length ? bytes : bytes.subarray(0, at)
}

function texts(values: readonly string[], nulls: Uint8Array | undefined, oid: number): Uint8Array {
  let most = headerBytes
  for (const value of values) most += 4 + value.length * 3
  const bytes = new Uint8Array(most)
  const view = new DataView(bytes.buffer)
  header(view, nulls !== undefined, oid, values.length)
  let at = headerBytes
  for (let i = 0; i < values.length; i++) {
    if (nulls && nulls[i] === 1) {
      view.setInt32(at, -1)
      at += 4
      continue
    }
    const length = putText(bytes, at + 4, values[i] ?? '')
    view.setInt32(at, length)
    at += 4 + length
  }
  return bytes.subarray(0, at)
}

/** Short ASCII, which most values are, is faster by hand than a call of the encoder. */
function putText(bytes: Uint8Array, at: number, text: string): number {
  if (text.length <= 24) {
    let i = 0
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) break
      bytes[at + i] = code
    }
    if (i === text.length) return i
  }
  return utf8.encodeInto(text, bytes.subarray(at)).written
}

function header(view: DataView, hasNulls: boolean, oid: number, rows: number): void {
  view.setInt32(0, 1)
  view.setInt32(4, hasNulls ? 1 : 0)
  view.setInt32(8, oid)
  view.setInt32(12, rows)
  view.setInt32(16, 1)
}
