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

/**
 * Parse, Bind, Execute of one statement with the unnamed portal, as pieces to be sent in this order. A Uint8Array is bound in
 * binary and is a piece as it is, never copied: it must not change before the server has answered. Anything else is text.
 */
export function encodeStatement(text: string, params: readonly Param[]): Uint8Array[] {
  const values = params.map((value) =>
    value === null || value instanceof Uint8Array ? value : utf8.encode(String(value)),
  )
  const bound = values.reduce((sum, value) => sum + 4 + (value?.length ?? 0), 0)
  const sql = utf8.encode(text)
  const bindLength = 4 + 2 + 2 + 2 * params.length + 2 + bound + 2
  const begin = new Writer(5 + sql.length + 4 + 1 + bindLength - bound)
  begin
    .type('P')
    .int32(4 + 1 + sql.length + 1 + 2)
    .skip(1)
    .bytes(sql)
    .skip(1 + 2)
  begin.type('B').int32(bindLength).skip(2).int16(params.length)
  for (const value of params) begin.int16(value instanceof Uint8Array ? 1 : 0)
  begin.int16(params.length)
  const pieces: Uint8Array[] = [begin.done()]
  for (const value of values) {
    pieces.push(new Writer(4).int32(value ? value.length : -1).done())
    if (value && value.length > 0) pieces.push(value)
  }
  pieces.push(new Uint8Array(2), executeMessage)
  return pieces
}

/** Writes big-endian numbers one after the other; what is skipped stays zero. */
class Writer {
  private readonly buffer: Uint8Array
  private readonly view: DataView
  private at = 0
  constructor(length: number) {
    this.buffer = new Uint8Array(length)
    this.view = new DataView(this.buffer.buffer)
  }
  type(letter: string): this {
    this.buffer[this.at++] = letter.charCodeAt(0)
    return this
  }
  int32(value: number): this {
    this.view.setInt32(this.at, value)
    return this.skip(4)
  }
  int16(value: number): this {
    this.view.setInt16(this.at, value)
    return this.skip(2)
  }
  bytes(values: Uint8Array): this {
    this.buffer.set(values, this.at)
    return this.skip(values.length)
  }
  skip(length: number): this {
    this.at += length
    return this
  }
  done(): Uint8Array {
    return this.buffer.subarray(0, this.at)
  }
}

const executeMessage = new Writer(10).type('E').int32(9).skip(5).done()
export const syncMessage: Uint8Array = new Writer(5).type('S').int32(4).done()

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

/** Memory that is written again and again, grown when a batch needs more. */
export class Scratch {
  private bytes = new Uint8Array(0)
  atLeast(length: number): Uint8Array {
    if (this.bytes.length < length) this.bytes = new Uint8Array(Math.ceil(length * 1.25))
    return this.bytes
  }
}

/** A column as a one-dimensional array in PostgreSQL's binary format (array_recv), in the scratch when one is given. */
export function encodeArray(column: Column, scratch: Scratch = new Scratch()): Uint8Array {
  const rows = column.values.length
  const { nulls } = column
  switch (column.type) {
    case 'boolean':
      return fixed(scratch, column, rows, 1, (view, at, i) => view.setInt8(at, column.values[i] ?? 0))
    case 'integer':
      return fixed(scratch, column, rows, 4, (view, at, i) => view.setInt32(at, column.values[i] ?? 0))
    case 'date':
      return fixed(scratch, column, rows, 4, (view, at, i) =>
        view.setInt32(at, (column.values[i] ?? 0) - epochDays),
      )
    case 'double':
      return fixed(scratch, column, rows, 8, (view, at, i) => view.setFloat64(at, column.values[i] ?? 0))
    case 'bigint':
      return fixed(scratch, column, rows, 8, (view, at, i) => view.setBigInt64(at, column.values[i] ?? 0n))
    case 'timestamp':
    case 'timestamptz':
      return fixed(scratch, column, rows, 8, (view, at, i) =>
        view.setBigInt64(at, (column.values[i] ?? 0n) - epochMicros),
      )
    case 'decimal':
    case 'text':
    case 'json':
      return texts(scratch, column.values, nulls, arrayTypes[column.type].oid)
  }
}

function fixed(
  scratch: Scratch,
  column: Column,
  rows: number,
  width: number,
  put: (view: DataView, at: number, row: number) => void,
): Uint8Array {
  const { nulls } = column
  const bytes = scratch.atLeast(headerBytes + rows * (4 + width))
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
  return bytes.subarray(0, at)
}

function texts(
  scratch: Scratch,
  values: readonly string[],
  nulls: Uint8Array | undefined,
  oid: number,
): Uint8Array {
  let most = headerBytes
  for (const value of values) most += 4 + value.length * 3
  const bytes = scratch.atLeast(most)
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
