import { StepFailure } from '#src/domain/failure.ts'
import type { StorageKey } from '#src/storage/key.ts'
import type { Storage } from '#src/storage/storage.ts'

/** A stored file that is being read, pinned to one version of its content. */
export type FileSource = {
  /** How the tenant knows it; used in messages. */
  name: string
  bytes: number
  etag: string
  /** The bytes from `start` to `end` (exclusive), all of them. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>
  /** The bytes from `start` on, as they arrive. */
  stream(start: number): Promise<ReadableStream<Uint8Array>>
}

/** Looks the file up; fails when it is missing, empty, or no longer what an earlier part of the same read saw. */
export async function openSource(
  storage: Storage,
  key: StorageKey,
  options: { name: string; etag?: string; signal: AbortSignal },
): Promise<FileSource> {
  const { name, signal } = options
  const found = await storage.head(key, { signal })
  if (!found)
    throw new StepFailure('file_missing', `The file "${name}" is not in the storage; upload it again.`)
  if (found.bytes === 0) throw new StepFailure('file_empty', `The file "${name}" is empty.`)
  if (options.etag !== undefined && options.etag !== found.etag) throw changed(name)

  const get = async (start: number, end?: number): Promise<ReadableStream<Uint8Array>> => {
    signal.throwIfAborted()
    const part = await storage.get(key, { range: end === undefined ? { start } : { start, end }, signal })
    if (part?.etag === found.etag) return part.body
    await part?.body.cancel()
    throw changed(name)
  }

  return {
    name,
    bytes: found.bytes,
    etag: found.etag,
    stream: (start) => get(start),
    async read(start, end) {
      const into = new Uint8Array(end - start)
      let filled = 0
      for await (const chunk of arriving(await get(start, end), name, signal)) {
        if (filled + chunk.length > into.length) break
        into.set(chunk, filled)
        filled += chunk.length
      }
      if (filled < into.length) throw cutOff(name)
      return into
    },
  }
}

/** The stream's chunks, with its failures in our words: what arrives from the network may break off at any time. */
export async function* arriving(
  stream: ReadableStream<Uint8Array>,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (cause) {
    signal.throwIfAborted()
    throw cause instanceof StepFailure ? cause : cutOff(name, cause)
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function changed(name: string): StepFailure {
  return new StepFailure(
    'file_changed',
    `The file "${name}" was replaced while it was being read; start the run again.`,
  )
}

function cutOff(name: string, cause?: unknown): StepFailure {
  return new StepFailure('storage_unavailable', `Reading the file "${name}" from the storage broke off.`, {
    retryable: true,
    cause,
  })
}
