import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { StorageKey } from '#src/storage/key.ts'
import type { Storage } from '#src/storage/storage.ts'
import type { ReadOptions, ReadState, Reader, Stream } from '#src/connectors/connector.ts'
import { chooseColumns, unknownColumn } from './choose-columns.ts'
import { shapeOf } from './format.ts'
import type { FileFormat, FileShape } from './format.ts'
import { describeParquet, openParquet } from './parquet/read.ts'
import { openSource } from './source.ts'
import type { FileSource } from './source.ts'
import { csvRows, inferCsv } from './text/csv.ts'
import { readHeader } from './text/header.ts'
import type { Header } from './text/header.ts'
import { inferNdjson, ndjsonRows } from './text/ndjson.ts'
import { rowBatches } from './text/rows.ts'
import { readSample } from './text/sample.ts'
import type { Sample } from './text/sample.ts'

export type FileOptions = {
  /** The file's name, for its format and for messages. */
  name: string
  format?: FileFormat
  /** One character; found out when absent. CSV only. */
  delimiter?: string
  /** Declared columns win over inferred types, by name. */
  schema?: ColumnSpec[]
  signal: AbortSignal
}
/** `cursor` is refused: a file is read as a whole, and reading it again would double its rows. */
export type OpenFileOptions = FileOptions & {
  columns?: string[]
  state?: ReadState
  cursor?: ReadOptions['cursor']
}

type TextFile = { sample: Sample; header: Header | undefined; schema: ColumnSpec[]; declared: Set<string> }

/** What a file holds, without reading all of it. */
export async function discoverFile(storage: Storage, key: StorageKey, options: FileOptions): Promise<Stream> {
  const shape = shapeOf(options.name, options.format)
  const source = await openSource(storage, key, options)
  if (shape.format === 'parquet') {
    const { columns, rows } = await describeParquet(source)
    return { name: options.name, columns, rowEstimate: rows, bytes: source.bytes }
  }
  const { schema, sample, header } = await openText(source, shape, options)
  const stream = { name: options.name, columns: schema, bytes: source.bytes }
  const lines = countOf(sample.bytes, 0x0a) - (header ? 1 : 0)
  if (sample.isWhole || shape.compression === 'none') {
    return {
      ...stream,
      rowEstimate: Math.max(
        0,
        Math.round((lines * source.bytes) / (sample.isWhole ? source.bytes : sample.bytes.length)),
      ),
    }
  }
  return stream
}

/** Opens a stored file for reading, from its beginning or from where an earlier read stopped. */
export async function openFile(storage: Storage, key: StorageKey, options: OpenFileOptions): Promise<Reader> {
  const { name, state, columns, signal } = options
  if (options.cursor) {
    throw new StepFailure(
      'not_incremental',
      `The file "${name}" can only be extracted as a whole, not incrementally; use mode full_refresh and no cursor.`,
    )
  }
  const shape = shapeOf(name, options.format)
  const etag = state?.['etag']
  const source = await openSource(storage, key, { name, signal, ...(typeof etag === 'string' && { etag }) })
  if (shape.format === 'parquet') return openParquet(source, options)

  const { sample, header, schema, declared } = await openText(source, shape, options)
  const wanted = chooseColumns(
    name,
    schema.map((spec) => ({ spec })),
    columns === undefined ? {} : { columns },
  ).map((one) => one.spec)
  const cutter = header
    ? csvRows(name, header, schema, wanted, declared)
    : ndjsonRows(name, schema, wanted, declared)
  const bodyAt = header?.bodyAt ?? sample.bodyAt
  const batches = rowBatches(
    source,
    { compression: shape.compression, bodyAt, signal, ...(state && { state }) },
    cutter,
  )
  return { schema: wanted, batches, close: async () => void (await batches.return(undefined)) }
}

async function openText(
  source: FileSource,
  { format, compression }: FileShape,
  options: FileOptions,
): Promise<TextFile> {
  const { schema: declared = [], delimiter } = options
  if (delimiter !== undefined && !/^[\t\x20-\x7e]$/.test(delimiter)) {
    throw new StepFailure(
      'bad_delimiter',
      `The delimiter of the file "${source.name}" must be one character.`,
    )
  }
  const sample = await readSample(source, compression, options.signal)
  const header = format === 'csv' ? readHeader(sample, source.name, delimiter) : undefined
  const found = header
    ? { names: header.names, types: inferCsv(sample, header) }
    : inferNdjson(source.name, sample)
  const types = new Map<string, ColumnType>(declared.map((spec) => [spec.name, spec.type]))
  for (const name of types.keys()) {
    if (found.names.includes(name)) continue
    // A key of NDJSON may appear late in the file; a CSV column cannot.
    if (header) throw unknownColumn(source.name, name, found.names)
    found.names.push(name)
  }
  const schema = found.names.map((name, i) => ({
    name,
    type: types.get(name) ?? found.types[i] ?? 'text',
    nullable: true,
  }))
  return { sample, header, schema, declared: new Set(types.keys()) }
}

function countOf(bytes: Uint8Array, wanted: number): number {
  let count = 0
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count++
  return count
}
