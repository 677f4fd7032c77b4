import { BadValue, checkJsonText, cutText } from '../strings.ts'
import type { Plain } from './sink.ts'

/** Longer numbers than any writer makes; turning one into digits takes the square of its length. */
const maxDecimalBytes = 64

/** Length-prefixed UTF-8. */
export const utf8: Plain<string[]> = (page, position, count, out, at) => {
  const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength)
  const ends = new Int32Array(count)
  let next = position
  let total = 0
  for (let i = 0; i < count; i++) {
    const length = page.getUint32(next, true)
    next += 4 + length
    if (next > bytes.length) throw new RangeError('the values end early')
    total += length
    ends[i] = total
  }
  const run = new Uint8Array(total)
  for (let i = 0, from = position + 4, to = 0; i < count; i++) {
    const end = ends[i] ?? 0
    const length = end - to
    if (length > 24) run.set(bytes.subarray(from, from + length), to)
    else for (let j = 0; j < length; j++) run[to + j] = bytes[from + j] ?? 0
    from += length + 4
    to = end
  }
  cutText(run, ends, count, out, at)
  return next
}

export const json: Plain<string[]> = (page, position, count, out, at) => {
  const next = utf8(page, position, count, out, at)
  for (let i = at; i < at + count; i++) checkJsonText(out[i] ?? '')
  return next
}

/** Values of their own length, each made into text by `toText`. */
export const eachOfItsLength =
  (toText: (bytes: Uint8Array) => string): Plain<string[]> =>
  (page, position, count, out, at) => {
    let next = position
    for (let i = 0; i < count; i++) {
      const length = page.getUint32(next, true)
      if (next + 4 + length > page.byteLength) throw new RangeError('the values end early')
      out[at + i] = toText(new Uint8Array(page.buffer, page.byteOffset + next + 4, length))
      next += 4 + length
    }
    return next
  }

export const eachOfLength =
  (length: number, toText: (bytes: Uint8Array) => string): Plain<string[]> =>
  (page, position, count, out, at) => {
    if (position + count * length > page.byteLength) throw new RangeError('the values end early')
    for (let i = 0; i < count; i++) {
      out[at + i] = toText(new Uint8Array(page.buffer, page.byteOffset + position + i * length, length))
    }
    return position + count * length
  }

export const eachInt32 =
  (toText: (value: number) => string): Plain<string[]> =>
  (page, position, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = toText(page.getInt32(position + i * 4, true))
    return position + count * 4
  }

export const eachInt64 =
  (toText: (value: bigint) => string): Plain<string[]> =>
  (page, position, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = toText(page.getBigInt64(position + i * 8, true))
    return position + count * 8
  }

/** `-12345` with scale 2 is `-123.45`. */
export function decimalText(value: number | bigint, scale: number): string {
  const text = value.toString()
  if (scale === 0) return text
  const sign = text.startsWith('-') ? '-' : ''
  const digits = text.slice(sign.length).padStart(scale + 1, '0')
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** A decimal stored as big-endian two's complement. */
export const decimalOfBytes =
  (scale: number) =>
  (bytes: Uint8Array): string => {
    if (bytes.length > maxDecimalBytes) throw new BadValue('is a number of more than 64 bytes')
    if (bytes.length === 0) return decimalText(0, scale)
    const value = BigInt(`0x${toHex(bytes)}`)
    return decimalText(BigInt.asIntN(bytes.length * 8, value), scale)
  }

export const unsigned64 = (value: bigint): string => BigInt.asUintN(64, value).toString()

export function uuid(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** As Postgres writes bytes. */
export const hex = (bytes: Uint8Array): string => `\\x${toHex(bytes)}`

function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** A time of day from `perSecond`ths of a second since midnight. */
export function timeText(value: bigint, perSecond: bigint): string {
  const two = (part: bigint): string => part.toString().padStart(2, '0')
  const seconds = value / perSecond
  const digits = perSecond.toString().length - 1
  const fraction = (value % perSecond).toString().padStart(digits, '0').slice(0, 6)
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}.${fraction}`
}
