/** Deeper than any footer or page header of the format; a file that nests further is made to exhaust the stack. */
const maxDepth = 24

/** The bytes end before the structure does: more of them may help. */
export class ThriftCutOff extends Error {}

/**
 * Walks one Thrift compact structure and returns where it ends, so that hyparquet can be let loose on it: hyparquet
 * allocates what a list's length says before it looks whether so many elements can be there.
 */
export function endOfStruct(bytes: Uint8Array, start: number): number {
  let at = start

  const byte = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw new ThriftCutOff('ends early')
    return value
  }
  const varint = (): number => {
    let value = 0
    for (let scale = 1, i = 0; i < 10; i++, scale *= 128) {
      const next = byte()
      value += (next & 0x7f) * scale
      if (next < 0x80) return value
    }
    throw new Error('a number is too long')
  }
  const skip = (count: number): void => {
    if (count > bytes.length - at) throw new ThriftCutOff('ends early')
    at += count
  }

  const element = (type: number, depth: number): void => {
    if (type === 3) skip(1)
    else if (type === 4 || type === 5 || type === 6) varint()
    else if (type === 7) skip(8)
    else if (type === 8) skip(varint())
    else if (type === 9) list(depth + 1)
    else if (type === 12) struct(depth + 1)
    else throw new Error(`an unknown type ${type}`)
  }
  const list = (depth: number): void => {
    if (depth > maxDepth) throw new Error('is nested too deeply')
    const head = byte()
    const type = head & 0x0f
    const size = head >> 4 === 15 ? varint() : head >> 4
    if (size > bytes.length - at) throw new ThriftCutOff('a list is longer than the bytes that are left')
    for (let i = 0; i < size; i++) element(type === 1 || type === 2 ? 3 : type, depth)
  }
  const struct = (depth: number): void => {
    if (depth > maxDepth) throw new Error('is nested too deeply')
    for (;;) {
      const head = byte()
      const type = head & 0x0f
      if (type === 0) return
      if (head >> 4 === 0) varint()
      if (type !== 1 && type !== 2) element(type, depth)
    }
  }

  struct(0)
  return at
}
