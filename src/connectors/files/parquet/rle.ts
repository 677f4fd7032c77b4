/** Reads the RLE / bit-packed hybrid in as many pieces as the caller likes; nothing is allocated by what the bytes say. */
export type RleReader = { read(out: Int32Array, at: number, count: number): void }

export function readRle(bytes: Uint8Array, start: number, end: number, width: number): RleReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, end)
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1
  let at = start
  /** What is left of the current run, and either its value or the bit where its next value begins. */
  let left = 0
  let packed = false
  let value = 0
  let bit = 0

  const varint = (): number => {
    let result = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = view.getUint8(at++)
      result += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return result
    }
    throw new Error('the length of a run is too long')
  }

  const nextRun = (): void => {
    const head = varint()
    packed = (head & 1) === 1
    if (packed) {
      const groups = Math.floor(head / 2)
      // Some writers cut the last group short, so only the values that are there count.
      left = width === 0 ? groups * 8 : Math.min(groups * 8, Math.floor(((end - at) * 8) / width))
      bit = at * 8
      at = Math.min(end, at + groups * width)
    } else {
      left = Math.floor(head / 2)
      value = 0
      for (let shift = 0; shift < width; shift += 8) value |= view.getUint8(at++) << shift
      if (value >>> 0 > mask) throw new Error('a run is of a value that is out of range')
    }
    if (left === 0 && at >= end) throw new Error('the runs end early')
  }

  const unpack = (out: Int32Array, from: number, to: number): void => {
    let position = bit
    const whole = (end - 4) * 8
    for (let i = from; i < to; i++, position += width) {
      if (width <= 25 && position <= whole) {
        out[i] = (view.getUint32(position >>> 3, true) >>> (position & 7)) & mask
      } else {
        out[i] = slowBits(position)
      }
    }
    bit = position
  }
  /** Near the end of the bytes, or for widths that may span five of them. */
  const slowBits = (position: number): number => {
    let result = 0
    for (let taken = 0; taken < width;) {
      const p = position + taken
      const part = Math.min(8 - (p & 7), width - taken)
      result |= ((view.getUint8(Math.floor(p / 8)) >>> (p & 7)) & ((1 << part) - 1)) << taken
      taken += part
    }
    return result
  }

  return {
    read(out, from, count) {
      let filled = from
      const until = from + count
      while (filled < until) {
        if (left === 0) {
          nextRun()
          continue
        }
        const taken = Math.min(left, until - filled)
        if (!packed || width === 0) out.fill(packed ? 0 : value, filled, filled + taken)
        else unpack(out, filled, filled + taken)
        left -= taken
        filled += taken
      }
    },
  }
}

let kept = new Int32Array(0)

/** Room for levels or indices that are used up before anything is awaited; the next call hands out the same room. */
export function scratch(count: number): Int32Array {
  if (kept.length < count) kept = new Int32Array(count)
  return kept
}
