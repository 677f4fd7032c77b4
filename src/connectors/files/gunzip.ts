import { StepFailure } from '#src/domain/failure.ts'

/** A piece becomes at most about a thousand times as much: 32 MB. */
const pieceBytes = 32 * 1024

/** Unpacks gzip with the platform's own decompressor. */
export async function* gunzip(packed: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const bad = (why: string, cause?: unknown): StepFailure =>
    new StepFailure('bad_compression', `The gzip file "${name}" cannot be unpacked: ${why}.`, { cause })
  const inflate = new DecompressionStream('gzip')
  const writer = inflate.writable.getWriter()
  const reader = (inflate.readable as ReadableStream<Uint8Array>).getReader()
  const appetite = appetiteOf()
  const tail = new Uint8Array(4)
  let failure: unknown
  // The stream reports one failure in many promises; the reader's is the one that counts.
  writer.closed.catch(() => undefined)
  reader.closed.catch(() => undefined)

  const feed = async (): Promise<void> => {
    try {
      for await (const chunk of packed) {
        for (let at = 0; at < chunk.length; at += pieceBytes) {
          const piece = chunk.slice(at, at + pieceBytes)
          keepTail(tail, piece)
          await writer.write(piece)
          await appetite.hungry()
        }
      }
      await writer.close()
    } catch (error) {
      failure ??= error
      await writer.abort(error).catch(() => undefined)
    }
  }
  const feeding = feed()
  let unpackedBytes = 0
  try {
    for (;;) {
      appetite.waits()
      const { done, value } = await reader.read().catch((error: unknown) => {
        if (failure instanceof StepFailure || failure instanceof DOMException) throw failure
        throw bad('it is damaged, ends early, or holds more than one gzip file', error)
      })
      appetite.eats()
      if (done) break
      unpackedBytes += value.length
      yield value
    }
    // Platforms differ in what they do with a second gzip member: read it, refuse it, or silently leave it out.
    if (new DataView(tail.buffer).getUint32(0, true) !== unpackedBytes % 2 ** 32) {
      throw bad('it holds several gzip files one after the other, or is cut off; pack it again as one')
    }
  } finally {
    appetite.ends()
    await reader.cancel().catch(() => undefined)
    await packed.return(undefined)
    await feeding
  }
}

/**
 * Tells the feeding side when all that was unpacked has been taken: workerd accepts every write at once and keeps what
 * comes out of it, so that a bomb of 300 KB would be 300 MB of memory. When a read finds nothing for a whole turn of the
 * event loop, nothing is left to take.
 */
function appetiteOf(): { waits(): void; eats(): void; ends(): void; hungry(): Promise<void> } {
  let isWaiting = false
  let isOver = false
  let meals = 0
  let wake = (): void => undefined
  return {
    waits() {
      isWaiting = true
      wake()
    },
    eats() {
      isWaiting = false
      meals++
    },
    ends() {
      isOver = true
      wake()
    },
    async hungry() {
      while (!isOver) {
        if (!isWaiting) await new Promise<void>((resolve) => (wake = resolve))
        const before = meals
        await new Promise((resolve) => setTimeout(resolve, 0))
        if (isWaiting && meals === before) return
      }
    },
  }
}

function keepTail(tail: Uint8Array, piece: Uint8Array): void {
  const taken = Math.min(tail.length, piece.length)
  tail.copyWithin(0, taken)
  tail.set(piece.subarray(piece.length - taken), tail.length - taken)
}
