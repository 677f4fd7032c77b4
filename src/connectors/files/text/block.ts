import { lengthInString } from '../strings.ts'
import type { Cells } from './cells.ts'
import type { Fields } from './scan.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The block as one string, or where its first byte lies that is not UTF-8, or that is NUL. */
export function decodeBlock(bytes: Uint8Array): { text: string } | { badAt: number; what: 'utf8' | 'nul' } {
  const nul = bytes.indexOf(0)
  let text
  try {
    text = strict.decode(bytes)
  } catch {
    const badAt = firstBadByte(bytes)
    return nul >= 0 && nul < badAt ? { badAt: nul, what: 'nul' } : { badAt, what: 'utf8' }
  }
  return nul >= 0 ? { badAt: nul, what: 'nul' } : { text }
}

/** The fields of a decoded block as strings: slices of it, so that no field is decoded by itself. */
export function cellsOf(
  block: { bytes: Uint8Array; from: number; to: number; text: string },
  fields: Fields,
  columns: number,
  rows: number,
): Cells {
  const { bytes, from, to, text } = block
  const units = text.length === to - from ? undefined : unitsOf(bytes, from, fields, columns * rows)
  const starts = units?.starts ?? fields.starts
  const ends = units?.ends ?? fields.ends
  const shift = units ? 0 : from
  const textOf = (slot: number): string => {
    const value = text.substring((starts[slot] ?? 0) - shift, (ends[slot] ?? 0) - shift)
    return fields.kinds[slot] === 2 ? value.replaceAll('""', '"') : value
  }
  return { bytes, fields, columns, rows, textOf }
}

/** Where the fields lie in the string when some characters take more bytes than units. */
function unitsOf(
  bytes: Uint8Array,
  from: number,
  fields: Fields,
  count: number,
): { starts: Int32Array; ends: Int32Array } {
  const starts = new Int32Array(count)
  const ends = new Int32Array(count)
  let at = from
  let unit = 0
  for (let slot = 0; slot < count; slot++) {
    const start = fields.starts[slot] ?? 0
    const end = fields.ends[slot] ?? 0
    unit += lengthInString(bytes, at, start)
    starts[slot] = unit
    unit += lengthInString(bytes, start, end)
    ends[slot] = unit
    at = end
  }
  return { starts, ends }
}

/** Halves the block until what cannot be decoded is found: a cut within a character is told from a wrong byte. */
function firstBadByte(bytes: Uint8Array): number {
  let good = 0
  let bad = bytes.length + 1
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (isPrefixOfUtf8(bytes.subarray(0, middle))) good = middle
    else bad = middle
  }
  return startOfCutOff(bytes, good)
}

/** Where a character begins that the bytes before `end` leave unfinished; `end` when they do not. */
function startOfCutOff(bytes: Uint8Array, end: number): number {
  for (let at = end - 1; at >= Math.max(0, end - 3); at--) {
    const byte = bytes[at] ?? 0
    if (byte < 0x80) return end
    if (byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return at + length > end ? at : end
  }
  return end
}

function isPrefixOfUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
