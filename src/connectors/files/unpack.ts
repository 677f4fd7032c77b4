import type { Compression } from './format.ts'
import { gunzip } from './gunzip.ts'
import { arriving } from './source.ts'
import type { FileSource } from './source.ts'
import { unzstd } from './zstd.ts'

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
