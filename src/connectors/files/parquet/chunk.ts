import type { ColumnMetaData, PageHeader } from 'hyparquet'
import type { FileSource } from '../source.ts'
import { chunkStart } from './footer.ts'
import { readHeader } from './page.ts'
import { ThriftCutOff } from './thrift.ts'

/** No header is longer; its statistics may hold two values of the column. */
const maxHeaderBytes = 4 * 1024 * 1024
const firstHeaderBytes = 16 * 1024

export type RawPage = { header: PageHeader; body: () => Promise<Uint8Array> }
/** The pages of one column chunk in order; undefined after the last. A page whose body is not asked for costs nothing. */
export type ChunkPages = { next(): Promise<RawPage | undefined> }

/** Gives the bytes of the file from `start` to `end`, all of them. */
export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>

export function pagesOf(meta: ColumnMetaData, read: ReadBytes): ChunkPages {
  let at = chunkStart(meta)
  const end = at + Number(meta.total_compressed_size)

  const header = async (): Promise<{ header: PageHeader; dataAt: number }> => {
    for (let length = firstHeaderBytes; ; length *= 8) {
      const until = Math.min(end, at + length)
      const bytes = await read(at, until)
      try {
        const { header: found, dataAt } = readHeader(bytes, 0)
        return { header: found, dataAt: at + dataAt }
      } catch (error) {
        if (!(error instanceof ThriftCutOff) || until === end || length > maxHeaderBytes) throw error
      }
    }
  }

  return {
    async next() {
      if (at >= end) return undefined
      const { header: found, dataAt } = await header()
      const bodyEnd = dataAt + found.compressed_page_size
      if (bodyEnd > end) throw new Error('a page is longer than its column')
      at = bodyEnd
      return { header: found, body: () => read(dataAt, bodyEnd) }
    },
  }
}

/** Reads the file in windows, so that the small pieces of one column do not become a request each. */
export function windowed(source: FileSource, end: number, windowBytes: number): ReadBytes {
  let window = new Uint8Array(0)
  let windowAt = 0
  return async (from, to) => {
    if (from < windowAt || to > windowAt + window.length) {
      // A leap means that pages are being skipped: the next header is wanted, hardly what follows it.
      const isLeap = window.length > 0 && from > windowAt + window.length
      window = new Uint8Array(0)
      windowAt = from
      window = await source.read(
        from,
        Math.max(to, Math.min(end, from + (isLeap ? firstHeaderBytes : windowBytes))),
      )
    }
    return window.subarray(from - windowAt, to - windowAt)
  }
}
