import { deltaBinaryUnpack } from 'hyparquet/src/delta.js'
import { readVarInt } from 'hyparquet/src/thrift.js'
import type { LeafShape } from './page.ts'

/** What one page may become; delta encodings can promise any number of values in a few bytes. */
const maxBytes = 64 * 1024 * 1024

type Reader = { view: DataView; offset: number }
type Delta = 'DELTA_BINARY_PACKED' | 'DELTA_LENGTH_BYTE_ARRAY' | 'DELTA_BYTE_ARRAY' | 'BYTE_STREAM_SPLIT'

/** The rarer encodings are rewritten as PLAIN, so that one way of reading values serves all. */
export function plainBytes(
  page: Uint8Array,
  start: number,
  encoding: Delta,
  values: number,
  shape: LeafShape,
): Uint8Array {
  if (values * 8 > maxBytes) throw new Error('a page claims too many values')
  const view = new DataView(page.buffer, page.byteOffset + start, page.byteLength - start)
  if (encoding === 'BYTE_STREAM_SPLIT') return joinStreams(view, widthOf(shape))
  const reader = { view, offset: 0 }
  const isNarrow = shape.physical === 'INT32'
  if (encoding === 'DELTA_BINARY_PACKED') {
    if (!isNarrow && shape.physical !== 'INT64') throw new Error(`${encoding} is for whole numbers only`)
    const numbers = readDeltas(reader, values, isNarrow)
    return new Uint8Array(numbers.buffer)
  }
  if (shape.physical !== 'BYTE_ARRAY') throw new Error(`${encoding} is for text only`)
  return encoding === 'DELTA_LENGTH_BYTE_ARRAY' ? joinLengths(reader, values) : joinPrefixes(reader, values)
}

/** Checks the block's header before hyparquet makes room by it. `values` counts nulls too, so it is a limit here. */
function readDeltas(reader: Reader, values: number, isNarrow: boolean): Int32Array | BigInt64Array {
  const head = { view: reader.view, offset: reader.offset }
  const blockSize = readVarInt(head)
  const miniblocks = readVarInt(head)
  const total = readVarInt(head)
  if (
    !(
      blockSize > 0 &&
      blockSize <= 65_536 &&
      miniblocks > 0 &&
      miniblocks <= blockSize &&
      blockSize % miniblocks === 0
    )
  ) {
    throw new Error('a block of deltas has an impossible size')
  }
  if (!(total >= 0 && total <= values)) throw new Error('a block of deltas claims too many values')
  const numbers = isNarrow ? new Int32Array(total) : new BigInt64Array(total)
  deltaBinaryUnpack(reader, total, numbers)
  return numbers
}

function joinLengths(reader: Reader, values: number): Uint8Array {
  const lengths = readDeltas(reader, values, true) as Int32Array
  const out = roomFor(lengths)
  let to = 0
  for (const length of lengths) {
    new DataView(out.buffer).setUint32(to, length, true)
    out.set(take(reader, length), to + 4)
    reader.offset += length
    to += 4 + length
  }
  return out
}

function joinPrefixes(reader: Reader, values: number): Uint8Array {
  const prefixes = readDeltas(reader, values, true) as Int32Array
  const suffixes = readDeltas(reader, values, true) as Int32Array
  if (prefixes.length !== suffixes.length) throw new Error('prefixes and suffixes do not match')
  const out = roomFor(prefixes, suffixes)
  const view = new DataView(out.buffer)
  let before = 0
  let to = 0
  for (const [i, suffix] of suffixes.entries()) {
    const prefix = prefixes[i] ?? 0
    if (prefix > (i === 0 ? 0 : view.getUint32(before, true)))
      throw new Error('a prefix is longer than its text')
    view.setUint32(to, prefix + suffix, true)
    out.copyWithin(to + 4, before + 4, before + 4 + prefix)
    out.set(take(reader, suffix), to + 4 + prefix)
    reader.offset += suffix
    before = to
    to += 4 + prefix + suffix
  }
  return out
}

function roomFor(...lengths: Int32Array[]): Uint8Array<ArrayBuffer> {
  let total = 4 * (lengths[0]?.length ?? 0)
  for (const list of lengths) {
    for (const length of list) {
      total += length
      if (length < 0 || total > maxBytes) throw new Error('a page of text has impossible lengths')
    }
  }
  return new Uint8Array(total)
}

function take({ view, offset }: Reader, length: number): Uint8Array {
  if (offset + length > view.byteLength) throw new RangeError('the values end early')
  return new Uint8Array(view.buffer, view.byteOffset + offset, length)
}

function joinStreams(view: DataView, width: number): Uint8Array {
  const count = Math.floor(view.byteLength / width)
  const out = new Uint8Array(count * width)
  for (let stream = 0; stream < width; stream++) {
    for (let i = 0; i < count; i++) out[i * width + stream] = view.getUint8(stream * count + i)
  }
  return out
}

function widthOf({ physical, length }: LeafShape): number {
  if (physical === 'INT32' || physical === 'FLOAT') return 4
  if (physical === 'INT64' || physical === 'DOUBLE') return 8
  if (physical === 'FIXED_LEN_BYTE_ARRAY' && length > 0) return length
  throw new Error('BYTE_STREAM_SPLIT is for numbers only')
}
