import { parquetMetadata, parquetSchema } from 'hyparquet/src/metadata.js'
import type { FileMetaData, SchemaTree } from 'hyparquet'
import type { FileSource } from '../source.ts'
import { badParquet } from './failure.ts'
import { endOfStruct } from './thrift.ts'

/** Read at once from the end of the file; most footers are within it. */
const firstRead = 128 * 1024
const maxFooterBytes = 8 * 1024 * 1024
const maxSchemaElements = 20_000
const maxSchemaDepth = 32
/** A row group may hold this many rows however small it is; beyond, its bytes must make them believable. */
const alwaysBelievedRows = 4_000_000
const believedRowsPerByte = 4096

export type Footer = { metadata: FileMetaData; tree: SchemaTree; firstPageAt: number; footerAt: number }

/** The footer, with every size in it checked against the file before anything is allocated by it. */
export async function readFooter(source: FileSource): Promise<Footer> {
  const { name, bytes } = source
  if (bytes < 12) throw badParquet(name, 'it is too short to be a Parquet file')
  const tailAt = Math.max(0, bytes - firstRead)
  let tail = await source.read(tailAt, bytes)
  const magic = String.fromCharCode(...tail.subarray(-4))
  if (magic === 'PARE') throw badParquet(name, 'it is encrypted')
  if (magic !== 'PAR1')
    throw badParquet(name, 'it does not end like a Parquet file; it may be cut off or of another format')
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(tail.length - 8, true)
  const footerAt = bytes - 8 - length
  if (footerAt < 4) throw badParquet(name, 'its footer claims to be longer than the file')
  if (length > maxFooterBytes)
    throw badParquet(name, `its footer of ${Math.round(length / 1e6)} MB is larger than the 8 MB that fit`)
  if (footerAt < tailAt) tail = await source.read(footerAt, bytes)
  else tail = tail.subarray(footerAt - tailAt)

  let footer
  try {
    endOfStruct(tail.subarray(0, length), 0)
    const metadata = parquetMetadata(tail, { geoparquet: false, parsers: noStatistics })
    checkDepth(metadata.schema)
    footer = { metadata, tree: parquetSchema(metadata), firstPageAt: 4, footerAt }
  } catch (cause) {
    throw badParquet(name, 'its footer is damaged', cause)
  }
  checkSizes(footer, name)
  return footer
}

/** The statistics of the chunks are not used, so nothing is made of them. */
const noStatistics = {
  timestampFromMilliseconds: () => undefined,
  timestampFromMicroseconds: () => undefined,
  timestampFromNanoseconds: () => undefined,
  dateFromDays: () => undefined,
  stringFromBytes: () => undefined,
  uuidFromBytes: () => undefined,
}

/** Walks the schema, which is stored in pre-order, without recursion: hyparquet's own walk recurses. */
function checkDepth(schema: FileMetaData['schema']): void {
  if (schema.length > maxSchemaElements) throw new Error('it has too many columns')
  const open: number[] = []
  for (const element of schema) {
    while (open.at(-1) === 0) open.pop()
    const parent = open.length - 1
    if (parent >= 0) open[parent] = (open[parent] ?? 0) - 1
    const children = element.num_children ?? 0
    if (children < 0 || children > schema.length)
      throw new Error('a column has an impossible number of children')
    if (children > 0) open.push(children)
    if (open.length > maxSchemaDepth) throw new Error('its columns are nested too deeply')
  }
  if (open.some((left) => left !== 0)) throw new Error('its schema ends early')
}

function checkSizes({ metadata, tree, footerAt }: Footer, name: string): void {
  const leaves = leavesOf(tree)
  let rows = 0
  for (const [index, group] of metadata.row_groups.entries()) {
    const where = `row group ${index + 1}`
    const groupRows = Number(group.num_rows)
    rows += groupRows
    if (!(groupRows >= 0)) throw badParquet(name, `${where} has an impossible number of rows`)
    if (group.columns.length !== leaves.length)
      throw badParquet(name, `${where} does not have the columns of the schema`)
    let compressed = 0
    for (const [leafIndex, chunk] of group.columns.entries()) {
      const meta = chunk.meta_data
      const leaf = leaves[leafIndex]
      if (chunk.file_path) throw badParquet(name, 'its columns are in other files')
      if (!meta || !leaf || chunk.crypto_metadata)
        throw badParquet(name, `${where} has a column that cannot be read`)
      const column = `${where}, column "${leaf.path.join('.')}"`
      if (meta.type !== leaf.element.type)
        throw badParquet(name, `${column} is not of the type in the schema`)
      const size = Number(meta.total_compressed_size)
      const values = Number(meta.num_values)
      const start = chunkStart(meta)
      if (!(size >= 0 && start >= 4 && start + size <= footerAt)) {
        throw badParquet(name, `${column} claims bytes that the file does not have`)
      }
      if (!(values >= 0 && values <= Number.MAX_SAFE_INTEGER && Number(meta.total_uncompressed_size) >= 0)) {
        throw badParquet(name, `${column} has an impossible number of values`)
      }
      compressed += size
      if (leaf.path.length === 1 && leaf.element.repetition_type !== 'REPEATED' && values !== groupRows) {
        throw badParquet(name, `${column} claims ${values} values for ${groupRows} rows`)
      }
    }
    if (groupRows > alwaysBelievedRows && groupRows > compressed * believedRowsPerByte) {
      throw badParquet(name, `${where} claims ${groupRows} rows in ${compressed} bytes`)
    }
  }
  if (rows !== Number(metadata.num_rows))
    throw badParquet(name, 'its row groups do not add up to the rows it claims')
}

/** The columns that hold values, in the order of the chunks of a row group. */
export function leavesOf(tree: SchemaTree): SchemaTree[] {
  return tree.children.length === 0 ? (tree.path.length === 0 ? [] : [tree]) : tree.children.flatMap(leavesOf)
}

/** Where a column chunk begins: at its dictionary, when it has one. */
export function chunkStart(meta: { data_page_offset: bigint; dictionary_page_offset?: bigint }): number {
  const data = Number(meta.data_page_offset)
  const dictionary = Number(meta.dictionary_page_offset ?? 0)
  return dictionary > 0 && dictionary < data ? dictionary : data
}
