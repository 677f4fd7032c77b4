import type { Bytes } from './bytes.ts'
import { arrayToJson } from './pg-array.ts'

/** How one column's text becomes JSON. */
type Kind = 'text' | 'number' | 'float' | 'boolean' | 'json' | { arrayOf: Kind }

export type Columns = { json: Buffer; keys: Buffer[]; kinds: Kind[] }

const kindOf = new Map<number, Kind>([
  [16, 'boolean'],
  [21, 'number'],
  [23, 'number'],
  [700, 'float'],
  [701, 'float'],
  [114, 'json'],
  [3802, 'json'],
])

/** Array types of the catalogue whose elements are not texts in JSON; the other arrays are below. */
const typedArrays = [
  [1000, 'boolean'],
  [1005, 'number'],
  [1007, 'number'],
  [1021, 'float'],
  [1022, 'float'],
  [199, 'json'],
  [3807, 'json'],
] as const
const textArrays = [
  143, 210, 271, 272, 273, 629, 651, 719, 775, 791, 1001, 1002, 1003, 1006, 1008, 1009, 1010, 1011, 1012,
  1013, 1014, 1015, 1016, 1017, 1018, 1019, 1020, 1027, 1028, 1034, 1040, 1041, 1115, 1182, 1183, 1185, 1187,
  1231, 1263, 1270, 1561, 1563, 2201, 2207, 2208, 2209, 2210, 2211, 2287, 2949, 2951, 3221, 3643, 3644, 3645,
  3735, 3770, 3905, 3907, 3909, 3911, 3913, 3927, 4073, 4090, 4097, 6150, 6151, 6152, 6153, 6155, 6157,
]
for (const [oid, arrayOf] of typedArrays) kindOf.set(oid, { arrayOf })
for (const oid of textArrays) kindOf.set(oid, { arrayOf: 'text' })

const known = new Map<string, Columns>()

/** Reads a RowDescription. The same statement describes itself in the same bytes, so they are the cache's key. */
export function parseColumns(message: Buffer, start: number, end: number): Columns {
  const key = message.toString('latin1', start, end)
  const found = known.get(key)
  if (found) return found
  const fields: unknown[] = []
  const columns: Columns = { json: Buffer.alloc(0), keys: [], kinds: [] }
  for (let at = start + 2, left = message.readInt16BE(start); left > 0; left--) {
    const nameEnd = message.indexOf(0, at)
    const name = message.toString('utf8', at, nameEnd)
    const dataTypeID = message.readUInt32BE(nameEnd + 7)
    fields.push({
      name,
      dataTypeID,
      tableID: message.readUInt32BE(nameEnd + 1),
      columnID: message.readInt16BE(nameEnd + 5),
      dataTypeSize: message.readInt16BE(nameEnd + 11),
      dataTypeModifier: message.readInt32BE(nameEnd + 13),
      format: 'text',
    })
    columns.keys.push(Buffer.from(`${JSON.stringify(name)}:`))
    columns.kinds.push(kindOf.get(dataTypeID) ?? 'text')
    at = nameEnd + 19
  }
  columns.json = Buffer.from(JSON.stringify(fields))
  if (known.size >= 2000) known.clear()
  known.set(key, columns)
  return columns
}

const quote = 0x22
const comma = 0x2c
const isNull = Buffer.from('null')

export type RowStyle = { asArray: boolean; rawText: boolean }

/** Appends a DataRow as a JSON array or object, straight from its bytes. */
export function writeRow(out: Bytes, row: Buffer, start: number, columns: Columns, style: RowStyle): void {
  const count = row.readInt16BE(start)
  out.byte(style.asArray ? 0x5b : 0x7b)
  let at = start + 2
  for (let index = 0; index < count; index++) {
    if (index > 0) out.byte(comma)
    const key = style.asArray ? undefined : columns.keys[index]
    if (key) out.bytes(key)
    const length = row.readInt32BE(at)
    at += 4
    if (length === -1) {
      out.bytes(isNull)
      continue
    }
    const kind = style.rawText ? 'text' : (columns.kinds[index] ?? 'text')
    if (kind === 'text') writeText(out, row, at, at + length)
    else out.text(toJson(kind, row.toString('utf8', at, at + length)))
    at += length
  }
  out.byte(style.asArray ? 0x5d : 0x7d)
}

function toJson(kind: Kind, text: string): string {
  if (typeof kind === 'object') return arrayToJson(text, (element) => toJson(kind.arrayOf, element))
  switch (kind) {
    case 'boolean':
      return text === 't' ? 'true' : 'false'
    case 'number':
    case 'json':
      return text
    case 'float':
      // NaN and the infinities have no JSON number and stay texts.
      return Number.isFinite(Number(text)) ? text : JSON.stringify(text)
    case 'text':
      return JSON.stringify(text)
  }
}

/** For every byte: 0 when it may stand in a JSON string as it is, 1 for \u00xx, else the letter after the backslash. */
const escapes = new Uint8Array(256)
escapes.fill(1, 0, 0x20)
for (const [byte, letter] of ['""', '\\\\', '\bb', '\tt', '\nn', '\ff', '\rr'].map((pair) =>
  Buffer.from(pair),
)) {
  escapes[byte ?? 0] = letter ?? 0
}
const hex = Buffer.from('0123456789abcdef')

function writeText(out: Bytes, source: Buffer, start: number, end: number): void {
  const length = end - start
  if (length > 256 && isPlain(source, start, end)) {
    out.reserve(length + 2)
    out.buffer[out.length] = quote
    source.copy(out.buffer, out.length + 1, start, end)
    out.length += length + 1
    out.buffer[out.length++] = quote
    return
  }
  out.reserve(length * 6 + 2)
  const target = out.buffer
  let to = out.length
  target[to++] = quote
  for (let at = start; at < end; at++) {
    const byte = source[at] ?? 0
    const escape = escapes[byte] ?? 0
    if (escape === 0) {
      target[to++] = byte
      continue
    }
    target[to++] = 0x5c
    if (escape !== 1) {
      target[to++] = escape
      continue
    }
    target[to++] = 0x75
    target[to++] = 0x30
    target[to++] = 0x30
    target[to++] = hex[byte >> 4] ?? 0
    target[to++] = hex[byte & 15] ?? 0
  }
  target[to++] = quote
  out.length = to
}

function isPlain(source: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((escapes[source[at] ?? 0] ?? 0) !== 0) return false
  return true
}
