import { StepFailure } from '#src/domain/failure.ts'
import type { Compression } from '../format.ts'
import type { FileSource } from '../source.ts'
import { unpacked } from '../unpack.ts'

/** What types are inferred from. */
const sampleBytes = 1024 * 1024

/** The beginning of a text file; `bodyAt` is past its byte order mark. */
export type Sample = { bytes: Uint8Array; isWhole: boolean; bodyAt: number }

export async function readSample(
  source: FileSource,
  compression: Compression,
  signal: AbortSignal,
): Promise<Sample> {
  const bytes = new Uint8Array(sampleBytes)
  let filled = 0
  let isWhole = true
  const chunks = compression === 'none' ? beginning(source) : unpacked(source, compression, 0, signal)
  for await (const chunk of chunks) {
    const taken = chunk.subarray(0, sampleBytes - filled)
    bytes.set(taken, filled)
    filled += taken.length
    if (filled < sampleBytes && taken.length === chunk.length) continue
    isWhole = false
    break
  }
  if (compression === 'none') isWhole = filled === source.bytes
  const sample = bytes.subarray(0, filled)
  if (sample.every((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) && isWhole) {
    throw new StepFailure('file_empty', `The file "${source.name}" is empty.`)
  }
  return { bytes: sample, isWhole, bodyAt: bodyStart(sample, source.name) }
}

async function* beginning(source: FileSource): AsyncGenerator<Uint8Array> {
  yield await source.read(0, Math.min(sampleBytes, source.bytes))
}

function bodyStart(bytes: Uint8Array, name: string): number {
  const [a, b, c, d] = bytes
  if (a === 0xef && b === 0xbb && c === 0xbf) return 3
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw new StepFailure('bad_encoding', `The file "${name}" is UTF-16; save it as UTF-8.`)
  }
  const signature = [a, b, c, d].map((byte) => (byte ?? 0).toString(16).padStart(2, '0')).join('')
  const kind = signature.startsWith('1f8b') ? 'gzip' : signatures[signature]
  if (kind) {
    throw new StepFailure(
      'unknown_format',
      `The file "${name}" is ${kind} inside, not text; name it by what it is.`,
    )
  }
  return 0
}

const signatures: Record<string, string> = {
  '50415231': 'Parquet',
  '504b0304': 'a zip archive',
  '28b52ffd': 'zstd',
}
