import type { ColumnType, ColumnValues } from '#src/domain/column.ts'
import { roomForText } from '../strings.ts'

/** Takes a column's values, decoded but without its nulls, and puts them where they belong in a batch. */
export type Sink = {
  values: ColumnValues[ColumnType]
  /** Decodes `count` PLAIN values from `position` on and says where the next one begins. */
  plain(page: DataView, position: number, count: number, at: number): number
  /** Takes the values of a dictionary's sink by their indices. */
  pick(dictionary: Sink, indices: Int32Array, count: number, at: number): void
  /** Makes room for the nulls among `count` values, of which the first `present` slots are filled. */
  spread(nulls: Uint8Array, at: number, count: number, present: number): void
}

export type Plain<V> = (page: DataView, position: number, count: number, out: V, at: number) => number

class BadIndex extends Error {
  constructor() {
    super('a value points outside of its dictionary')
  }
}

/** 32-bit values and flags. */
export function narrowSink<V extends Int32Array | Uint8Array>(values: V, plain: Plain<V>): Sink {
  return {
    values,
    plain: (page, position, count, at) => plain(page, position, count, values, at),
    pick(dictionary, indices, count, at) {
      const from = dictionary.values as V
      for (let i = 0; i < count; i++) {
        const value = from[indices[i] ?? 0]
        if (value === undefined) throw new BadIndex()
        values[at + i] = value
      }
    },
    spread(nulls, at, count, present) {
      for (let i = at + count - 1, from = at + present; i >= at; i--)
        values[i] = nulls[i] ? 0 : (values[--from] ?? 0)
    },
  }
}

/** 64-bit values, moved as two halves: that makes no BigInt, and keeps every bit of a double. */
export function wideSink<V extends BigInt64Array | Float64Array>(values: V, plain: Plain<V>): Sink {
  const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  return {
    values,
    plain: (page, position, count, at) => plain(page, position, count, values, at),
    pick(dictionary, indices, count, at) {
      const source = dictionary.values as V
      const from = new Int32Array(source.buffer, source.byteOffset, source.length * 2)
      for (let i = 0, to = at * 2; i < count; i++, to += 2) {
        const index = (indices[i] ?? 0) * 2
        const low = from[index]
        if (low === undefined) throw new BadIndex()
        halves[to] = low
        halves[to + 1] = from[index + 1] ?? 0
      }
    },
    spread(nulls, at, count, present) {
      for (let i = at + count - 1, from = at + present; i >= at; i--) {
        const isNull = nulls[i] === 1
        if (!isNull) from--
        halves[i * 2] = isNull ? 0 : (halves[from * 2] ?? 0)
        halves[i * 2 + 1] = isNull ? 0 : (halves[from * 2 + 1] ?? 0)
      }
    },
  }
}

/** Strings; those of a dictionary are shared, not copied. */
export function textSink(rows: number, plain: Plain<string[]>): Sink {
  const values = roomForText(rows)
  return {
    values,
    plain: (page, position, count, at) => plain(page, position, count, values, at),
    pick(dictionary, indices, count, at) {
      const from = dictionary.values as string[]
      for (let i = 0; i < count; i++) {
        const value = from[indices[i] ?? 0]
        if (value === undefined) throw new BadIndex()
        values[at + i] = value
      }
    },
    spread(nulls, at, count, present) {
      for (let i = at + count - 1, from = at + present; i >= at; i--)
        values[i] = nulls[i] ? '' : (values[--from] ?? '')
    },
  }
}
