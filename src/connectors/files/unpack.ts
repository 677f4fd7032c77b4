import { StepFailure } from '#src/domain/failure.ts'
import type { Compression } from './format.ts'
import { arriving } from './source.ts'
import type { FileSource } from './source.ts'
import { unzstd } from './zstd.ts'

/** So little goes into the decompressor at once that the worst bomb makes 16 MB of it. */
const pieceBytes = 16 * 1024

/**
 * The file's content from `start` on, a piece at a time. A compressed file is always read from its beginning: `start`
 * counts unpacked bytes, and what lies before is unpacked and dropped.
 */
export async function* unpacked(
  source: FileSource,
  compression: Compression,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    if (start < source.bytes) yield* arriving(await source.stream(start), source.name, signal)
    return
  }
  const packed = arriving(await source.stream(0), source.name, signal)
  let toDrop = start
  for await (const chunk of compression === 'gzip'
    ? gunzip(packed, source.name)
    : unzstd(packed, source.name)) {
    signal.throwIfAborted()
    const dropped = Math.min(toDrop, chunk.length)
    toDrop -= dropped
    if (dropped < chunk.length) yield chunk.subarray(dropped)
  }
}

async function* gunzip(packed: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const bad = (why: string, cause?: unknown): StepFailure =>
    new StepFailure('bad_compression', `The gzip file "${name}" cannot be unpacked: ${why}.`, { cause })
  const inflate = new DecompressionStream('gzip')
  const writer = inflate.writable.getWriter()
  const reader = (inflate.readable as ReadableStream<Uint8Array>).getReader()
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
      const { done, value } = await reader.read().catch((error: unknown) => {
        if (failure instanceof StepFailure || failure instanceof DOMException) throw failure
        throw bad('it is damaged, or ends early', error)
      })
      if (done) break
      unpackedBytes += value.length
      yield value
    }
    // Platforms differ in what they do with a second gzip member: read it, refuse it, or silently leave it out.
    if (new DataView(tail.buffer).getUint32(0, true) !== unpackedBytes % 2 ** 32) {
      throw bad('it holds several gzip files one after the other, or is cut off; pack it again as one')
    }
  } finally {
    await reader.cancel().catch(() => undefined)
    await packed.return(undefined)
    await feeding
  }
}

function keepTail(tail: Uint8Array, piece: Uint8Array): void {
  const taken = Math.min(tail.length, piece.length)
  tail.copyWithin(0, taken)
  tail.set(piece.subarray(piece.length - taken), tail.length - taken)
}
