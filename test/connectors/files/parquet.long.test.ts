import { readFile } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'
import { parquetReadObjects } from 'hyparquet'
import { expect, it } from 'vitest'
import { openFile } from '#src/connectors/files/files.ts'
import { key, memoryStorage } from './memory-storage.ts'
import { readAll } from './read-all.ts'

const flights = new URL('../../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url)
const name = 'data.parquet'

it('reads all of three million flights as hyparquet does, in batches of bounded size', async () => {
  const bytes = new Uint8Array(await readFile(flights))
  const reader = await openFile(memoryStorage(bytes, [1 << 20]), key, {
    name,
    signal: new AbortController().signal,
  })
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  const compressors = { ZSTD: (input: Uint8Array) => zstdDecompressSync(input) }
  let rows = 0
  for await (const { batch } of reader.batches) {
    expect(batch.rows).toBeLessThanOrEqual(50_000)
    if (rows === 0 || batch.rows < 25_000) {
      const wanted = await parquetReadObjects({
        file,
        compressors,
        rowStart: rows,
        rowEnd: rows + batch.rows,
      })
      for (const column of batch.columns) {
        const theirs = wanted.map((row) =>
          row[column.name] instanceof Date ? BigInt(row[column.name].getTime()) * 1000n : row[column.name],
        )
        expect([...column.values]).toEqual(theirs)
      }
    }
    rows += batch.rows
  }
  expect(rows).toBe(3_000_000)
})

it('three million flights are gone on with from any state, with exactly those that were left', async () => {
  const bytes = new Uint8Array(await readFile(flights))
  const columns = ['delay', 'origin']
  const whole = await readAll(bytes, { name, columns })
  for (const i of [5, 6, 64]) {
    const state = whole.states[i]
    const rest = await readAll(bytes, { name, columns, ...(state && { state }) })
    expect(rest.rows).toHaveLength(3_000_000 - (whole.rowsBefore[i] ?? 0))
    expect(rest.rows.slice(0, 1000)).toEqual(
      whole.rows.slice(whole.rowsBefore[i], (whole.rowsBefore[i] ?? 0) + 1000),
    )
    expect(rest.rows.at(-1)).toEqual(whole.rows.at(-1))
  }
})
