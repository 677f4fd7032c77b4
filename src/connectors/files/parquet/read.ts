import * as z from 'zod'
import type { Batch, Column, ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { ReadState, Reader } from '#src/connectors/connector.ts'
import { chooseColumns } from '../choose-columns.ts'
import type { FileSource } from '../source.ts'
import { BadValue } from '../strings.ts'
import { pagesOf, windowed } from './chunk.ts'
import type { ReadBytes } from './chunk.ts'
import { columnsOf } from './columns.ts'
import type { ParquetColumn } from './columns.ts'
import { badParquet } from './failure.ts'
import { openFlat } from './flat.ts'
import type { ColumnCursor } from './flat.ts'
import { chunkStart, readFooter } from './footer.ts'
import type { Footer } from './footer.ts'
import { openNested } from './nested.ts'
import { sizeOfText, slice } from './slice.ts'

const batchRows = 50_000
const batchBytes = 8 * 1024 * 1024
/** A row group whose wanted columns lie within this much is fetched by one request; a larger one in windows. */
const oneFetchBytes = 8 * 1024 * 1024
const windowsBytes = 16 * 1024 * 1024

/** The next row to read. */
const parquetState = z.object({ etag: z.string(), group: z.int().min(0), row: z.int().min(0) })

export async function openParquet(
  source: FileSource,
  options: { columns?: string[]; schema?: ColumnSpec[]; state?: ReadState; signal: AbortSignal },
): Promise<Reader> {
  const footer = await readFooter(source)
  const columns = chooseColumns(source.name, columnsOf(footer, source.name), options)
  const state =
    options.state === undefined ? { etag: source.etag, group: 0, row: 0 } : parquetState.parse(options.state)
  return {
    schema: columns.map((column) => column.spec),
    batches: batchesOf(source, footer, columns, state, options.signal),
    close: async () => undefined,
  }
}

/** The columns of a Parquet file and how many rows it says it has. */
export async function describeParquet(source: FileSource): Promise<{ columns: ColumnSpec[]; rows: number }> {
  const footer = await readFooter(source)
  return {
    columns: columnsOf(footer, source.name).map((column) => column.spec),
    rows: Number(footer.metadata.num_rows),
  }
}

async function* batchesOf(
  source: FileSource,
  footer: Footer,
  columns: ParquetColumn[],
  from: z.output<typeof parquetState>,
  signal: AbortSignal,
): AsyncGenerator<{ batch: Batch; state: ReadState }> {
  const { etag } = from
  for (let group = from.group; group < footer.metadata.row_groups.length; group++) {
    const rows = Number(footer.metadata.row_groups[group]?.num_rows ?? 0)
    let row = group === from.group ? from.row : 0
    if (row >= rows) continue
    const cursors = await failing(source.name, group, undefined, () =>
      openGroup(source, footer, columns, group),
    )
    for (const cursor of cursors) await cursor.skip(row)
    const most = rowsPerBatch(footer, columns, group)
    while (row < rows) {
      signal.throwIfAborted()
      const count = Math.min(most, rows - row)
      const read: Column[] = []
      for (const [i, cursor] of cursors.entries()) {
        read.push(await failing(source.name, group, columns[i]?.spec.name, () => cursor.read(count)))
      }
      // Text that a dictionary shares is small here and large on the wire.
      const pieces = Math.min(count, Math.ceil(sizeOfText(read) / batchBytes))
      const step = Math.ceil(count / Math.max(1, pieces))
      for (let start = 0; start < count; start += step) {
        const batch = slice({ rows: count, columns: read }, start, Math.min(count, start + step))
        row += batch.rows
        yield { batch, state: row < rows ? { etag, group, row } : { etag, group: group + 1, row: 0 } }
      }
    }
  }
}

async function openGroup(
  source: FileSource,
  footer: Footer,
  columns: ParquetColumn[],
  index: number,
): Promise<ColumnCursor[]> {
  const group = footer.metadata.row_groups[index]
  const metaOf = (leaf: number) => {
    const meta = group?.columns[leaf]?.meta_data
    if (!meta) throw new Error('a column is missing')
    return meta
  }
  const opened = columns.map((column) => ({ ...column, leaves: column.leaves() }))
  const metas = opened.flatMap((column) => column.leaves.map((leaf) => metaOf(leaf.index)))
  const start = Math.min(...metas.map(chunkStart))
  const end = Math.max(...metas.map((meta) => chunkStart(meta) + Number(meta.total_compressed_size)))
  const bytes = metas.reduce((sum, meta) => sum + Number(meta.total_compressed_size), 0)
  let shared: ReadBytes | undefined
  if (end - start <= oneFetchBytes && end - start <= 2 * bytes + 65_536)
    shared = windowed(source, end, oneFetchBytes)
  const windowBytes = Math.max(128 * 1024, Math.min(4 * 1024 * 1024, Math.floor(windowsBytes / metas.length)))
  if (shared) await shared(start, end)

  return opened.map(({ spec, node, isFlat, leaves }) => {
    const prepared = leaves.map((leaf) => {
      const meta = metaOf(leaf.index)
      const read =
        shared ?? windowed(source, chunkStart(meta) + Number(meta.total_compressed_size), windowBytes)
      return { ...leaf, pages: pagesOf(meta, read), values: Number(meta.num_values), codec: meta.codec }
    })
    const [first] = prepared
    if (!isFlat || !first) return openNested(spec.name, node, prepared, Number(group?.num_rows ?? 0))
    return openFlat(first.pages, {
      name: spec.name,
      leaf: first.leaf,
      shape: { ...first.shape, codec: first.codec },
    })
  })
}

function rowsPerBatch({ metadata }: Footer, columns: ParquetColumn[], index: number): number {
  const group = metadata.row_groups[index]
  const leaves = columns.flatMap((column) => column.leaves())
  const bytes = leaves.reduce(
    (sum, { index: i }) => sum + Number(group?.columns[i]?.meta_data?.total_uncompressed_size ?? 0),
    0,
  )
  const perRow = Math.max(8 * leaves.length, bytes / Math.max(1, Number(group?.num_rows ?? 1)))
  return Math.max(1, Math.min(batchRows, Math.floor(batchBytes / perRow)))
}

/** Whatever a damaged file makes the decoders throw becomes one failure that says where. */
async function failing<T>(
  name: string,
  group: number,
  column: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StepFailure || (error instanceof DOMException && error.name === 'AbortError'))
      throw error
    const where = `row group ${group + 1}${column === undefined ? '' : `, column "${column}"`}`
    if (error instanceof BadValue) {
      throw new StepFailure(
        'bad_value',
        `The Parquet file "${name}", ${where}: a value ${error.message}. Leave the column out, or write it differently.`,
      )
    }
    const why =
      error instanceof RangeError || error instanceof TypeError || !(error instanceof Error)
        ? 'it is damaged'
        : error.message
    throw badParquet(name, `${where}: ${why}`, error)
  }
}
