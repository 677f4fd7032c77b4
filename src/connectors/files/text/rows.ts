import * as z from 'zod'
import type { Batch, Column } from '#src/domain/column.ts'
import type { ReadState } from '#src/connectors/connector.ts'
import type { Compression } from '../format.ts'
import type { FileSource } from '../source.ts'
import { unpacked } from '../unpack.ts'
import { tooLong } from './failures.ts'
import { maxRowBytes, windowOver } from './window.ts'

/** `offset` is where in the (unpacked) file `from` is. */
export type Block = { bytes: Uint8Array; from: number; to: number; isEnd: boolean; offset: number }
export type Cut =
  | { kind: 'rows'; rows: number; next: number; columns: Column[] }
  | { kind: 'incomplete'; inQuote: boolean }
/** Makes columns of the whole rows at the front of a block; `firstRow` is the number of the first of them. */
export type RowCutter = { cut(block: Block, firstRow: number): Cut }

/** `at`: the (unpacked) byte where the next row begins; `row`: how many rows came before it. */
const textState = z.object({ etag: z.string(), at: z.int().min(0), row: z.int().min(0) })

/** Rows of a text file as batches, from the start of its body or from where an earlier read stopped. */
export async function* rowBatches(
  source: FileSource,
  options: { compression: Compression; bodyAt: number; state?: ReadState; signal: AbortSignal },
  cutter: RowCutter,
): AsyncGenerator<{ batch: Batch; state: ReadState }> {
  const { compression, signal } = options
  let { at, row } = options.state ? textState.parse(options.state) : { at: options.bodyAt, row: 0 }
  const window = windowOver(unpacked(source, compression, at, signal), at)
  try {
    for (;;) {
      await window.fill()
      if (window.isEnd && window.from === window.to) return
      for (;;) {
        signal.throwIfAborted()
        const { from, to, bytes, isEnd, offset } = window
        if (from === to) break
        const cut = cutter.cut({ bytes, from, to, isEnd, offset }, row + 1)
        if (cut.kind === 'incomplete') {
          if (to - from >= maxRowBytes) throw tooLong(source.name, row + 1, cut.inQuote)
          break
        }
        window.consume(cut.next)
        row += cut.rows
        if (cut.rows > 0) {
          yield {
            batch: { rows: cut.rows, columns: cut.columns },
            state: { etag: source.etag, at: window.offset, row },
          }
        }
        // A small rest is read on before it is cut, or the batches would get small too.
        if (!isEnd && window.to - window.from < 1024 * 1024) break
      }
    }
  } finally {
    await window.close()
  }
}
