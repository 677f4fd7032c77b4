import { daysInMonth, daysOf } from '../time.ts'

const zero = 0x30
const maxLong = 2n ** 63n

/** All of these read the bytes from `start` to `end`, put the value at `at`, and return false when it is not one. */

export function parseInteger(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Int32Array,
  at: number,
): boolean {
  const value = wholeNumber(bytes, start, end)
  out[at] = value
  return out[at] === value
}

export function parseLong(
  bytes: Uint8Array,
  start: number,
  end: number,
  halves: Int32Array,
  at: number,
): boolean {
  const value = wholeNumber(bytes, start, end)
  if (!Number.isNaN(value)) {
    setLong(halves, at, value)
    return true
  }
  const text = ascii(bytes, start, end)
  return /^[+-]?\d{16,40}$/.test(text) && setBigLong(halves, at, BigInt(text.replace(/^\+/, '')))
}

export function parseDouble(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Float64Array,
  at: number,
): boolean {
  let p = start
  const isNegative = bytes[p] === 0x2d
  if (isNegative) p++
  let mantissa = 0
  let digits = 0
  let decimals = -1
  for (; p < end; p++) {
    const byte = bytes[p] ?? 0
    const digit = byte - zero
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      digits++
      if (decimals >= 0) decimals++
    } else if (byte === 0x2e && decimals < 0) decimals = 0
    else break
  }
  // Up to 15 digits the mantissa and the power of ten are exact, and so the quotient is the nearest double.
  if (p === end && digits > 0 && digits <= 15) {
    const value = decimals > 0 ? mantissa / (powersOfTen[decimals] ?? 1) : mantissa
    out[at] = isNegative ? -value : value
    return true
  }
  return slowDouble(ascii(bytes, start, end), out, at)
}

const powersOfTen = Float64Array.from({ length: 16 }, (_, i) => Number(`1e${i}`))
const numberPattern = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const wordPattern = /^([+-]?)(?:inf|infinity)$/i

function slowDouble(text: string, out: Float64Array, at: number): boolean {
  const word = wordPattern.exec(text)
  if (word) out[at] = word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  else if (/^nan$/i.test(text)) out[at] = Number.NaN
  else if (numberPattern.test(text)) out[at] = Number(text)
  else return false
  return true
}

/** Kept as it is written, so that no digit is lost; Postgres holds numbers far longer than this limit. */
export function parseDecimal(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: string[],
  at: number,
): boolean {
  if (end - start > 1000) return false
  const text = ascii(bytes, start, end)
  out[at] = text
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/.test(text)
}

const booleans = new Map<string, number>()
for (const word of ['true', 't', 'yes', 'y', '1']) booleans.set(word, 1)
for (const word of ['false', 'f', 'no', 'n', '0']) booleans.set(word, 0)

export function parseBoolean(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): boolean {
  const value = end - start > 5 ? undefined : booleans.get(ascii(bytes, start, end).toLowerCase())
  out[at] = value ?? 0
  return value !== undefined
}

export function parseDate(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Int32Array,
  at: number,
): boolean {
  const days = end - start === 10 ? date(bytes, start) : Number.NaN
  out[at] = days
  return !Number.isNaN(days)
}

/** `2024-02-29T12:00:00.123456`, with a space or a T, seconds and fraction optional, digits beyond microseconds dropped. */
export function parseTimestamp(
  bytes: Uint8Array,
  start: number,
  end: number,
  isZoned: boolean,
  halves: Int32Array,
  at: number,
): boolean {
  if (end - start < 10) return false
  const days = date(bytes, start)
  let micros = 0
  let p = start + 10
  if (p < end) {
    const separator = bytes[p]
    const hour = twoDigits(bytes, p + 1)
    const minute = bytes[p + 3] === 0x3a ? twoDigits(bytes, p + 4) : Number.NaN
    if (
      p + 6 > end ||
      (separator !== 0x54 && separator !== 0x20 && separator !== 0x74) ||
      !(hour < 24 && minute < 60)
    )
      return false
    p += 6
    let second = 0
    let fraction = 0
    if (p < end && bytes[p] === 0x3a) {
      second = twoDigits(bytes, p + 1)
      p += 3
      if (p > end || !(second < 60)) return false
      if (p < end && (bytes[p] === 0x2e || bytes[p] === 0x2c)) {
        const from = ++p
        let scale = 100_000
        for (; p < end; p++, scale /= 10) {
          const digit = (bytes[p] ?? 0) - zero
          if (!(digit >= 0 && digit <= 9)) break
          if (scale >= 1) fraction += digit * scale
        }
        if (p === from || p - from > 9) return false
      }
    }
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    const zone = p < end ? zoneMinutes(bytes, p, end) : undefined
    if (Number.isNaN(zone) || (zone !== undefined) !== isZoned) return false
    micros -= (zone ?? 0) * 60_000_000
  } else if (isZoned) return false
  const total = days * 86_400_000_000 + micros
  if (Number.isNaN(total)) return false
  if (Number.isSafeInteger(total)) setLong(halves, at, total)
  else return setBigLong(halves, at, BigInt(days) * 86_400_000_000n + BigInt(micros))
  return true
}

/** Minutes east of Greenwich; NaN when it is not a zone. */
function zoneMinutes(bytes: Uint8Array, start: number, end: number): number {
  const text = ascii(bytes, start, end)
  if (text === 'Z' || text === 'z') return 0
  const match = /^([+-])(\d\d)(?::?(\d\d))?$/.exec(text)
  const minutes = Number(match?.[2]) * 60 + Number(match?.[3] ?? 0)
  if (!match || !(minutes <= 16 * 60)) return Number.NaN
  return match[1] === '-' ? -minutes : minutes
}

/** Days since 1970 of the ten bytes YYYY-MM-DD; NaN when they are not a date. */
function date(bytes: Uint8Array, p: number): number {
  const year = twoDigits(bytes, p) * 100 + twoDigits(bytes, p + 2)
  const month = twoDigits(bytes, p + 5)
  const day = twoDigits(bytes, p + 8)
  if (bytes[p + 4] !== 0x2d || bytes[p + 7] !== 0x2d) return Number.NaN
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month)))
    return Number.NaN
  return daysOf(year, month, day)
}

function twoDigits(bytes: Uint8Array, p: number): number {
  const tens = (bytes[p] ?? 0) - zero
  const ones = (bytes[p + 1] ?? 0) - zero
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

/** A whole number of up to 15 digits; NaN for anything else. */
function wholeNumber(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]
  let p = first === 0x2d || first === 0x2b ? start + 1 : start
  if (p === end || end - p > 15) return Number.NaN
  let value = 0
  for (; p < end; p++) {
    const digit = (bytes[p] ?? 0) - zero
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return first === 0x2d && value !== 0 ? -value : value
}

/** A safe integer as the two halves of a 64-bit one, without making a BigInt. */
export function setLong(halves: Int32Array, at: number, value: number): void {
  halves[at * 2] = value
  halves[at * 2 + 1] = Math.floor(value / 2 ** 32)
}

export function setBigLong(halves: Int32Array, at: number, value: bigint): boolean {
  if (value < -maxLong || value >= maxLong) return false
  halves[at * 2] = Number(BigInt.asIntN(32, value))
  halves[at * 2 + 1] = Number(value >> 32n)
  return true
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < Math.min(end, start + 1001); i++) text += String.fromCharCode(bytes[i] ?? 0)
  return text
}
