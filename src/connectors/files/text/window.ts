/** What is read of a text file before its rows are cut: about as many bytes as one batch takes. */
const fillBytes = 4 * 1024 * 1024
/** A single row or line may not be longer. */
export const maxRowBytes = 8 * 1024 * 1024

/** What the memory grows by; a chunk comes on top of what is wanted. */
const capacities = [256 * 1024, 1024 * 1024, fillBytes + 512 * 1024, maxRowBytes + 512 * 1024]

/** The part of a text file that is in memory: whole rows are consumed from its front, and more is read behind it. */
export type ByteWindow = {
  readonly bytes: Uint8Array
  readonly from: number
  readonly to: number
  /** Nothing follows `to`. */
  readonly isEnd: boolean
  /** Where in the file `from` is. */
  readonly offset: number
  /** Reads on; when nothing was consumed since the last fill, further than before. */
  fill(): Promise<void>
  consume(until: number): void
  close(): Promise<void>
}

export function windowOver(chunks: AsyncGenerator<Uint8Array>, startsAt: number): ByteWindow {
  let bytes = new Uint8Array(capacities[0] ?? 0)
  let from = 0
  let to = 0
  let isEnd = false
  let offset = startsAt
  let wanted = fillBytes

  const append = (chunk: Uint8Array): void => {
    if (to + chunk.length > bytes.length) {
      const needed = to - from + chunk.length
      if (needed > bytes.length) {
        const larger = new Uint8Array(capacities.find((capacity) => capacity >= needed) ?? needed)
        larger.set(bytes.subarray(from, to))
        bytes = larger
      } else bytes.copyWithin(0, from, to)
      to -= from
      from = 0
    }
    bytes.set(chunk, to)
    to += chunk.length
  }

  return {
    get bytes() {
      return bytes
    },
    get from() {
      return from
    },
    get to() {
      return to
    },
    get isEnd() {
      return isEnd
    },
    get offset() {
      return offset
    },
    async fill() {
      const target = Math.max(wanted, 1)
      wanted = target * 2
      while (!isEnd && to - from < target) {
        const next = await chunks.next()
        if (next.done) isEnd = true
        else append(next.value)
      }
    },
    consume(until) {
      offset += until - from
      from = until
      wanted = fillBytes
    },
    close: async () => void (await chunks.return(undefined)),
  }
}
