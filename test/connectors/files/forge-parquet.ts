import type { ColumnMetaData, PageHeader, SchemaElement } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'

export type Forged = {
  rows?: number
  element?: Partial<SchemaElement>
  pages?: { header: PageHeader; body: Uint8Array }[]
  meta?: Partial<ColumnMetaData>
}

/** A data page of `values` values that are what the bytes say. */
export const dataPage = (
  values: number,
  body: Uint8Array,
  size = body.length,
  encoding: 'PLAIN' | 'RLE_DICTIONARY' | 'DELTA_BINARY_PACKED' = 'PLAIN',
) => ({
  header: {
    type: 'DATA_PAGE',
    uncompressed_page_size: size,
    compressed_page_size: body.length,
    data_page_header: {
      num_values: values,
      encoding,
      definition_level_encoding: 'RLE',
      repetition_level_encoding: 'RLE',
    },
  } as PageHeader,
  body,
})

/** A Parquet file of one column `n` that may lie about itself. */
export function forge({ rows = 1, element = {}, pages = [], meta = {} }: Forged): Uint8Array {
  const writer = new ByteWriter()
  writer.appendBytes(new TextEncoder().encode('PAR1'))
  for (const { header, body } of pages) {
    writePageHeader(writer, header)
    writer.appendBytes(body)
  }
  const size = BigInt(writer.offset - 4)
  const column: ColumnMetaData = {
    type: 'INT64',
    encodings: ['PLAIN'],
    path_in_schema: ['n'],
    codec: 'UNCOMPRESSED',
    num_values: BigInt(rows),
    total_uncompressed_size: size,
    total_compressed_size: size,
    data_page_offset: 4n,
    ...meta,
  }
  writeMetadata(writer, {
    version: 2,
    schema: [
      { name: 'root', num_children: 1 },
      { name: 'n', type: column.type, repetition_type: 'REQUIRED', ...element },
    ],
    num_rows: BigInt(rows),
    row_groups: [
      { columns: [{ file_offset: 4n, meta_data: column }], total_byte_size: size, num_rows: BigInt(rows) },
    ],
    metadata_length: 0,
  })
  writer.appendBytes(new TextEncoder().encode('PAR1'))
  return new Uint8Array(writer.getBuffer())
}
