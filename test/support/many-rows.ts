import { parquetWriteBuffer } from 'hyparquet-writer'

/** A Parquet file of the ids 1 to `rows` in row groups, with a text wide enough that a load takes several chunks. */
export function manyRows(rows: number, rowGroupSize: number): Uint8Array {
  const texts = Array.from({ length: 16 }, (_, i) => String.fromCharCode(97 + i).repeat(150))
  const id = Int32Array.from({ length: rows }, (_, i) => i + 1)
  const note = Array.from({ length: rows }, (_, i) => texts[i % texts.length] ?? '')
  const file = parquetWriteBuffer({
    columnData: [
      { name: 'id', data: id, type: 'INT32', nullable: false },
      { name: 'note', data: note, type: 'STRING', nullable: false },
    ],
    rowGroupSize,
    statistics: false,
  })
  return new Uint8Array(file)
}
