import type { Column, ColumnSpec } from '#src/domain/column.ts'
import { TextReader } from './text.ts'

/** Collects one column's values, row by row, from the bytes of PostgreSQL's binary format. */
export type ColumnBuilder = {
  /** `view` and `bytes` are of the same buffer; the value lies at `at` and is `length` bytes long. */
  put(row: number, view: DataView, bytes: Uint8Array, at: number, length: number): void
  putNull(row: number): void
  /** The column of the rows so far; the next row is the first of a new one. */
  take(rows: number): Column
}

/** PostgreSQL counts from 2000-01-01; columns count from 1970-01-01. */
const epochDays = 10_957
const epochMicros = BigInt(epochDays) * 86_400_000_000n
const lastDay = 2_147_483_647 - epochDays - 1
const minusInfinityDay = -2_147_483_648
/** Of the value's upper half: what lies beyond does not fit when counted from 1970, plus infinity included. */
const lastMicrosHigh = Number((2n ** 63n - 1n - epochMicros) >> 32n) - 1
const minusInfinityHigh = -2_147_483_648
const firstCapacity = 1024

/** `refuse` makes the failure of a date or timestamp that a batch cannot hold: infinity, or too far in the future. */
export function columnBuilder({ name, type }: ColumnSpec, refuse: (column: string) => Error): ColumnBuilder {
  switch (type) {
    case 'boolean':
      return fixed(
        (size) => new Uint8Array(size),
        (values, row, view, at) => (values[row] = view.getUint8(at)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'integer':
      return fixed(
        (size) => new Int32Array(size),
        (values, row, view, at) => (values[row] = view.getInt32(at)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'bigint':
      return fixed(
        (size) => new BigInt64Array(size),
        (values, row, view, at) => (values[row] = view.getBigInt64(at)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'double':
      return fixed(
        (size) => new Float64Array(size),
        (values, row, view, at) => (values[row] = view.getFloat64(at)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'date':
      return fixed(
        (size) => new Int32Array(size),
        putDate(() => refuse(name)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'timestamp':
    case 'timestamptz':
      return fixed(
        (size) => new BigInt64Array(size),
        putTimestamp(() => refuse(name)),
        (values, nulls) => ({ name, type, values, ...nulls }),
      )
    case 'decimal':
    case 'text':
    case 'json':
      return texts((values, nulls) => ({ name, type, values, ...nulls }))
  }
}

function putDate(refuse: () => Error): Put<Int32Array> {
  return (values, row, view, at) => {
    const days = view.getInt32(at)
    if (days > lastDay || days === minusInfinityDay) throw refuse()
    values[row] = days + epochDays
  }
}

function putTimestamp(refuse: () => Error): Put<BigInt64Array> {
  return (values, row, view, at) => {
    const high = view.getInt32(at)
    if (high > lastMicrosHigh || high === minusInfinityHigh) throw refuse()
    values[row] = view.getBigInt64(at) + epochMicros
  }
}

type Nulls = { nulls?: Uint8Array }
type Values = Uint8Array | Int32Array | Float64Array | BigInt64Array
type Put<V> = (values: V, row: number, view: DataView, at: number) => void

function fixed<V extends Values>(
  make: (size: number) => V,
  put: Put<V>,
  column: (values: V, nulls: Nulls) => Column,
): ColumnBuilder {
  let values = make(firstCapacity)
  const nulls = nullFlags()
  return {
    put(row, view, _, at) {
      if (row >= values.length) values = grown(values, make)
      put(values, row, view, at)
    },
    putNull(row) {
      if (row >= values.length) values = grown(values, make)
      nulls.mark(row)
    },
    take(rows) {
      const full = values
      values = make(full.length)
      return column(full.subarray(0, rows) as V, nulls.take(rows))
    },
  }
}

function grown<V extends Values>(values: V, make: (size: number) => V): V {
  const larger = make(values.length * 2)
  // Both are the same kind of array, which the compiler cannot see in a union.
  ;(larger as Uint8Array).set(values as Uint8Array)
  return larger
}

function texts(column: (values: string[], nulls: Nulls) => Column): ColumnBuilder {
  let values: string[] = []
  const reader = new TextReader()
  const nulls = nullFlags()
  return {
    put(row, _, bytes, at, length) {
      values[row] = reader.read(bytes, at, at + length)
    },
    putNull(row) {
      values[row] = ''
      nulls.mark(row)
    },
    take(rows) {
      const full = values
      full.length = rows
      values = []
      return column(full, nulls.take(rows))
    },
  }
}

function nullFlags() {
  let flags: Uint8Array | undefined
  return {
    mark(row: number) {
      if (!flags) flags = new Uint8Array(Math.max(firstCapacity, row + 1))
      if (row >= flags.length) {
        const larger = new Uint8Array(Math.max(flags.length * 2, row + 1))
        larger.set(flags)
        flags = larger
      }
      flags[row] = 1
    },
    take(rows: number): Nulls {
      if (!flags) return {}
      const nulls = new Uint8Array(rows)
      nulls.set(flags.subarray(0, rows))
      flags = undefined
      return { nulls }
    },
  }
}
