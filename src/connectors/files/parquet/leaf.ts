import type { SchemaElement } from 'hyparquet'
import type { ColumnType } from '#src/domain/column.ts'
import {
  asTheyAre,
  flags,
  floats,
  halfFloats,
  int96,
  thousandfold,
  thousandth,
  unsigned32,
} from './numbers.ts'
import { narrowSink, textSink, wideSink } from './sink.ts'
import type { Plain, Sink } from './sink.ts'
import {
  decimalOfBytes,
  decimalText,
  eachInt32,
  eachInt64,
  eachOfItsLength,
  eachOfLength,
} from './strings.ts'
import { hex, json, timeText, unsigned64, utf8, uuid } from './strings.ts'

/** How one stored column becomes a column of ours. */
export type Leaf = { type: ColumnType; sink: (rows: number) => Sink }

const texts = (type: 'text' | 'json' | 'decimal', plain: Plain<string[]>): Leaf => ({
  type,
  sink: (rows) => textSink(rows, plain),
})
const longs = (type: 'bigint' | 'timestamp' | 'timestamptz', plain: Plain<BigInt64Array>): Leaf => ({
  type,
  sink: (rows) => wideSink(new BigInt64Array(rows), plain),
})
const doubles = (plain: Plain<Float64Array>): Leaf => ({
  type: 'double',
  sink: (rows) => wideSink(new Float64Array(rows), plain),
})
const ints = (type: 'integer' | 'date'): Leaf => ({
  type,
  sink: (rows) => narrowSink(new Int32Array(rows), asTheyAre(4)),
})

/** Throws for what no type of ours can hold, with the reason. */
export function leafOf(element: SchemaElement): Leaf {
  const { type, converted_type: old, logical_type: logical } = element
  const decimal = decimalScale(element)
  switch (type) {
    case 'BOOLEAN':
      return { type: 'boolean', sink: (rows) => narrowSink(new Uint8Array(rows), flags) }
    case 'INT32':
      if (decimal !== undefined)
        return texts(
          'decimal',
          eachInt32((value) => decimalText(value, decimal)),
        )
      if (old === 'DATE' || logical?.type === 'DATE') return ints('date')
      if (old === 'TIME_MILLIS' || logical?.type === 'TIME')
        return texts(
          'text',
          eachInt32((value) => timeText(BigInt(value), 1000n)),
        )
      if (isUnsigned(element, 32)) return longs('bigint', unsigned32)
      return ints('integer')
    case 'INT64':
      if (decimal !== undefined)
        return texts(
          'decimal',
          eachInt64((value) => decimalText(value, decimal)),
        )
      if (logical?.type === 'TIMESTAMP') {
        return longs(logical.isAdjustedToUTC ? 'timestamptz' : 'timestamp', toMicroseconds[logical.unit])
      }
      if (old === 'TIMESTAMP_MILLIS') return longs('timestamptz', thousandfold)
      if (old === 'TIMESTAMP_MICROS') return longs('timestamptz', asTheyAre(8))
      if (logical?.type === 'TIME') {
        const perSecond = logical.unit === 'NANOS' ? 1_000_000_000n : 1_000_000n
        return texts(
          'text',
          eachInt64((value) => timeText(value, perSecond)),
        )
      }
      if (old === 'TIME_MICROS')
        return texts(
          'text',
          eachInt64((value) => timeText(value, 1_000_000n)),
        )
      if (isUnsigned(element, 64)) return texts('decimal', eachInt64(unsigned64))
      return longs('bigint', asTheyAre(8))
    case 'INT96':
      return longs('timestamp', int96)
    case 'FLOAT':
      return doubles(floats)
    case 'DOUBLE':
      return doubles(asTheyAre(8))
    case 'BYTE_ARRAY':
      if (decimal !== undefined) return texts('decimal', eachOfItsLength(decimalOfBytes(decimal)))
      if (old === 'JSON' || logical?.type === 'JSON') return texts('json', json)
      if (
        old === 'BSON' ||
        logical?.type === 'BSON' ||
        logical?.type === 'GEOMETRY' ||
        logical?.type === 'GEOGRAPHY'
      ) {
        return texts('text', eachOfItsLength(hex))
      }
      return texts('text', utf8)
    case 'FIXED_LEN_BYTE_ARRAY': {
      const length = element.type_length ?? 0
      if (length < 1) throw new Error('it has no length')
      if (decimal !== undefined) return texts('decimal', eachOfLength(length, decimalOfBytes(decimal)))
      if (logical?.type === 'UUID' && length === 16) return texts('text', eachOfLength(length, uuid))
      if (logical?.type === 'FLOAT16' && length === 2) return doubles(halfFloats)
      return texts('text', eachOfLength(length, hex))
    }
    case undefined:
      break
  }
  throw new Error('it has no type')
}

const toMicroseconds = { MILLIS: thousandfold, MICROS: asTheyAre(8), NANOS: thousandth }

function isUnsigned({ converted_type: old, logical_type: logical }: SchemaElement, width: number): boolean {
  if (logical?.type === 'INTEGER') return !logical.isSigned && logical.bitWidth === width
  return old === (width === 32 ? 'UINT_32' : 'UINT_64')
}

function decimalScale({
  converted_type: old,
  logical_type: logical,
  scale,
}: SchemaElement): number | undefined {
  const found = logical?.type === 'DECIMAL' ? logical.scale : old === 'DECIMAL' ? (scale ?? 0) : undefined
  if (found !== undefined && !(found >= 0 && found <= 1000)) throw new Error('its scale is impossible')
  return found
}
