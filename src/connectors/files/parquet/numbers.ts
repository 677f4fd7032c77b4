import type { Plain } from './sink.ts'

function take(page: DataView, position: number, bytes: number): Uint8Array {
  if (position + bytes > page.byteLength) throw new RangeError('the values end early')
  return new Uint8Array(page.buffer, page.byteOffset + position, bytes)
}

/** Values whose bytes are already those of the array. */
export const asTheyAre =
  (width: number): Plain<Int32Array | BigInt64Array | Float64Array> =>
  (page, position, count, out, at) => {
    new Uint8Array(out.buffer, out.byteOffset + at * width, count * width).set(
      take(page, position, count * width),
    )
    return position + count * width
  }

export const flags: Plain<Uint8Array> = (page, position, count, out, at) => {
  for (let i = 0; i < count; i++) {
    const bit = position + i
    out[at + i] = (page.getUint8(bit >>> 3) >>> (bit & 7)) & 1
  }
  return position + count
}

export const floats: Plain<Float64Array> = (page, position, count, out, at) => {
  for (let i = 0; i < count; i++) out[at + i] = page.getFloat32(position + i * 4, true)
  return position + count * 4
}

export const halfFloats: Plain<Float64Array> = (page, position, count, out, at) => {
  for (let i = 0; i < count; i++) {
    const bits = page.getUint16(position + i * 2, true)
    const sign = bits & 0x8000 ? -1 : 1
    const exponent = (bits >>> 10) & 0x1f
    const fraction = bits & 0x3ff
    let value = (1 + fraction / 1024) * 2 ** (exponent - 15)
    if (exponent === 0) value = fraction * 2 ** -24
    if (exponent === 31) value = fraction ? Number.NaN : Number.POSITIVE_INFINITY
    out[at + i] = sign * value
  }
  return position + count * 2
}

export const unsigned32: Plain<BigInt64Array> = (page, position, count, out, at) => {
  const halves = new Int32Array(out.buffer, out.byteOffset)
  for (let i = 0; i < count; i++) {
    halves[(at + i) * 2] = page.getInt32(position + i * 4, true)
    halves[(at + i) * 2 + 1] = 0
  }
  return position + count * 4
}

/** Milliseconds to microseconds, in two halves so that no BigInt is made for each value. */
export const thousandfold: Plain<BigInt64Array> = (page, position, count, out, at) => {
  const halves = new Int32Array(out.buffer, out.byteOffset)
  for (let i = 0; i < count; i++) {
    const low = page.getUint32(position + i * 8, true) * 1000
    const high = page.getInt32(position + i * 8 + 4, true) * 1000 + Math.floor(low / 2 ** 32)
    if (high !== (high | 0)) throw new RangeError('a time is out of range')
    halves[(at + i) * 2] = low
    halves[(at + i) * 2 + 1] = high
  }
  return position + count * 8
}

/** Nanoseconds to microseconds, rounded down. */
export const thousandth: Plain<BigInt64Array> = (page, position, count, out, at) => {
  const halves = new Int32Array(out.buffer, out.byteOffset)
  for (let i = 0; i < count; i++) {
    const high = page.getInt32(position + i * 8 + 4, true)
    const rest = high - Math.floor(high / 1000) * 1000
    halves[(at + i) * 2] = Math.floor((rest * 2 ** 32 + page.getUint32(position + i * 8, true)) / 1000)
    halves[(at + i) * 2 + 1] = Math.floor(high / 1000)
  }
  return position + count * 8
}

const julianDayOf1970 = 2_440_588

/** INT96, the old way of Impala and Spark: nanoseconds of the day and a Julian day. */
export const int96: Plain<BigInt64Array> = (page, position, count, out, at) => {
  for (let i = 0; i < count; i++) {
    const start = position + i * 12
    const day = page.getUint32(start + 8, true) - julianDayOf1970
    out[at + i] = BigInt(day) * 86_400_000_000n + page.getBigInt64(start, true) / 1000n
  }
  return position + count * 12
}
