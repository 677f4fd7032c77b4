import { Decompress } from 'fzstd'
import { StepFailure } from '#src/domain/failure.ts'
import { exactBytes } from './exact-bytes.ts'
import { checksumOf } from './xxh64.ts'

/** What the decompressor has to remember; zstd's levels up to 19 stay within half of it. */
const maxWindowBytes = 16 * 1024 * 1024
const maxBlockBytes = 128 * 1024

/**
 * Unpacks zstd frame by frame and block by block: the format says in four bytes that gigabytes of window or of zeros
 * follow, and fzstd believes it, so it is given one checked block at a time. Checksums, which fzstd ignores, are verified.
 */
export async function* unzstd(packed: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const bad = (why: string, cause?: unknown): StepFailure =>
    new StepFailure('bad_compression', `The zstd file "${name}" cannot be unpacked: ${why}.`, { cause })
  const input = exactBytes(packed, () => bad('it is cut off'))
  try {
    while (!(await input.isAtEnd())) {
      const magic = viewOf(await input.take(4)).getUint32(0, true)
      if (magic >>> 4 === 0x184d2a5) {
        await input.drop(viewOf(await input.take(4)).getUint32(0, true))
        continue
      }
      if (magic !== 0xfd2fb528) throw bad('it is not zstd, or is damaged')
      yield* frame()
    }
  } finally {
    await packed.return(undefined)
  }

  async function* frame(): AsyncGenerator<Uint8Array> {
    const header = await takeHeader()
    const out: Uint8Array[] = []
    const decoder = new Decompress((data) => void (data.length > 0 && out.push(data)))
    const sum = header.hasChecksum ? checksumOf() : undefined
    const push = (bytes: Uint8Array, isLast = false): Uint8Array[] => {
      try {
        decoder.push(bytes, isLast)
      } catch (cause) {
        throw bad('it is damaged', cause)
      }
      const made = out.splice(0)
      for (const data of made) sum?.add(data)
      return made
    }
    yield* push(header.bytes)
    for (let isLast = false; !isLast;) {
      const head = await input.take(3)
      const word = (head[0] ?? 0) | ((head[1] ?? 0) << 8) | ((head[2] ?? 0) << 16)
      const size = word >>> 3
      if (size > maxBlockBytes) throw bad('it is damaged: a block is too large')
      isLast = (word & 1) === 1
      const isRun = (word & 6) === 2
      yield* push(joined(head, await input.take(isRun ? 1 : size)))
    }
    const stored = header.hasChecksum ? await input.take(4) : new Uint8Array(0)
    yield* push(stored, true)
    if (sum && viewOf(stored).getUint32(0, true) !== sum.low())
      throw bad('it is damaged: its checksum is wrong')
  }

  async function takeHeader(): Promise<{ bytes: Uint8Array; hasChecksum: boolean }> {
    const descriptor = (await input.take(1))[0] ?? 0
    const isSingle = (descriptor & 0x20) !== 0
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
    const sizeBytes = descriptor >> 6 === 0 ? (isSingle ? 1 : 0) : 1 << (descriptor >> 6)
    const rest = await input.take((isSingle ? 0 : 1) + dictionaryBytes + sizeBytes)
    if (
      dictionaryBytes > 0 &&
      rest
        .subarray(isSingle ? 0 : 1)
        .subarray(0, dictionaryBytes)
        .some((byte) => byte !== 0)
    ) {
      throw bad('it needs a dictionary')
    }
    const exponent = rest[0] ?? 0
    const window = isSingle
      ? littleEndian(rest.subarray(dictionaryBytes)) + (sizeBytes === 2 ? 256 : 0)
      : 2 ** (10 + (exponent >> 3)) * (1 + (exponent & 7) / 8)
    if (window > maxWindowBytes)
      throw bad(`it needs a window of ${Math.ceil(window / 2 ** 20)} MB; pack it with at most 16`)
    const magic = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, descriptor)
    return { bytes: joined(magic, rest), hasChecksum: (descriptor & 4) !== 0 }
  }
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0)
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
