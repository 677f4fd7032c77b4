import type { StorageKey } from '#src/storage/key.ts'
import { tenantKey } from '#src/storage/key.ts'
import type { Storage } from '#src/storage/storage.ts'
import { newId } from '#src/domain/id.ts'

export const key: StorageKey = tenantKey(newId('tenant'), 'files', 'data')

/** One file in memory, arriving in chunks of the given sizes, in turn; every read is recorded. */
export function memoryStorage(
  content: Uint8Array | string,
  chunkSizes: readonly number[] = [65_536],
): Storage & { replace(content: string): void; reads: { start: number; bytes: number }[] } {
  let bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  let etag = '"1"'
  const reads: { start: number; bytes: number }[] = []
  const refuse = (): never => {
    throw new Error('not a part of this test')
  }
  return {
    reads,
    replace(text) {
      bytes = new TextEncoder().encode(text)
      etag = '"2"'
    },
    head: async () => ({ bytes: bytes.length, etag }),
    async get(_key, { range } = {}) {
      const part = bytes.subarray(range?.start ?? 0, range?.end ?? bytes.length)
      const read = { start: range?.start ?? 0, bytes: 0 }
      reads.push(read)
      let turn = 0
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (read.bytes >= part.length) return controller.close()
            const chunk = part.slice(read.bytes, read.bytes + (chunkSizes[turn++ % chunkSizes.length] ?? 1))
            read.bytes += chunk.length
            controller.enqueue(chunk)
          },
        },
        { highWaterMark: 0 },
      )
      return { bytes: part.length, etag, body }
    },
    put: refuse,
    remove: refuse,
    list: refuse,
    signedUpload: refuse,
    signedDownload: refuse,
  }
}
