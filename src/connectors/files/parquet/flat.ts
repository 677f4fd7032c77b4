import type { PageHeader } from 'hyparquet'
import type { Column } from '#src/domain/column.ts'
import type { ChunkPages, RawPage } from './chunk.ts'
import { crc32 } from './crc32.ts'
import type { Leaf } from './leaf.ts'
import { openDictionary, openPage, valuesIn } from './page.ts'
import type { LeafShape, Page } from './page.ts'
import { scratch } from './rle.ts'
import type { Sink } from './sink.ts'

/** A column of one row group, read in whatever slices the caller wants. */
export type ColumnCursor = { read(rows: number): Promise<Column>; skip(rows: number): Promise<void> }

type FlatColumn = { name: string; leaf: Leaf; shape: LeafShape }

/** Opens pages one after the other; only the current one is in memory, and pages skipped over are not even fetched. */
export function openFlat(pages: ChunkPages, { name, leaf, shape }: FlatColumn): ColumnCursor {
  let page: Page | undefined
  let left = 0
  let dictionary: Sink | undefined
  let toSkip = 0
  let kept: { rows: number; sink: Sink } | undefined

  const nextPage = async (): Promise<void> => {
    page = undefined
    while (!page) {
      const raw = await pages.next()
      if (!raw) throw new Error('it ends before its last row')
      const values = valuesIn(raw.header)
      if (raw.header.type === 'DICTIONARY_PAGE')
        dictionary = openDictionary(raw.header, await bodyOf(raw), shape, leaf.sink)
      else if (values !== undefined && values > 0 && values <= toSkip) toSkip -= values
      else if (values !== undefined && values > 0)
        page = openPage(raw.header, await bodyOf(raw), shape, dictionary)
    }
    left = page.values
  }

  /** The next `count` values of the open page; tells whether one of them is null. */
  const take = (sink: Sink, at: number, count: number, nulls: () => Uint8Array): void => {
    if (!page) throw new Error('no page is open')
    let present = count
    let marks: Uint8Array | undefined
    if (page.definition) {
      const levels = scratch(count)
      page.definition.read(levels, 0, count)
      present = 0
      for (let i = 0; i < count; i++) present += levels[i] ?? 0
      if (present < count) {
        marks = nulls()
        for (let i = 0; i < count; i++) marks[at + i] = levels[i] === 0 ? 1 : 0
      }
    }
    page.decode(sink, present, at)
    if (marks) sink.spread(marks, at, count, present)
    left -= count
  }

  return {
    async skip(rows) {
      toSkip += rows
    },

    async read(rows) {
      while (toSkip > 0) {
        if (left === 0) await nextPage()
        const count = Math.min(left, toSkip, 50_000)
        if (count > 0) take(leaf.sink(count), 0, count, () => new Uint8Array(count))
        toSkip -= count
      }
      // A batch is good until the next one is asked for, so its memory is.
      if (kept?.rows !== rows) kept = { rows, sink: leaf.sink(rows) }
      const { sink } = kept
      let nulls: Uint8Array | undefined
      for (let at = 0; at < rows;) {
        if (left === 0) await nextPage()
        const count = Math.min(left, rows - at)
        take(sink, at, count, () => (nulls ??= new Uint8Array(rows)))
        at += count
      }
      return columnOf(name, leaf, sink, nulls)
    },
  }
}

/** The leaf's type and its sink's array belong together by construction, which the type system cannot see. */
function columnOf(name: string, leaf: Leaf, sink: Sink, nulls: Uint8Array | undefined): Column {
  return { name, type: leaf.type, values: sink.values, ...(nulls && { nulls }) } as Column
}

/** The page's bytes; a writer may have left a checksum with them. */
export async function bodyOf({ header, body }: RawPage): Promise<Uint8Array> {
  const bytes = await body()
  const { crc } = header as PageHeader
  if (crc !== undefined && crc >>> 0 !== crc32(bytes)) throw new Error('the checksum of a page is wrong')
  return bytes
}
