import { readFile } from 'node:fs/promises'
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { openFile } from '#src/connectors/files/files.ts'
import { cases } from '#test/support/long-form.ts'
import { key, memoryStorage } from './memory-storage.ts'
import { failureOf, readAll } from './read-all.ts'

const name = 'data.parquet'
const fixture = async (file: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(new URL(`fixtures/${file}`, import.meta.url)))

/** As the fixtures' expected.json has it: whole numbers of 64 bits as text, JSON columns parsed. */
function plain(value: unknown, type: string): unknown {
  if (typeof value === 'bigint') return value.toString()
  return type === 'json' && typeof value === 'string' ? (JSON.parse(value) as unknown) : value
}

describe('Parquet', () => {
  // Written by pyarrow: every type, nulls, several pages and row groups.
  it.each([
    'v1-snappy.parquet',
    'v2-zstd.parquet',
    'v1-gzip-plain.parquet',
    'v2-brotli.parquet',
    'v1-lz4-int96.parquet',
    'v2-none-delta.parquet',
  ])('reads every type as another writer wrote it: %s', async (file) => {
    const expected = JSON.parse(
      await readFile(new URL('fixtures/expected.json', import.meta.url), 'utf8'),
    ) as Record<string, unknown[]>
    const read = await readAll(await fixture(file), { name })
    expect(read.rows).toHaveLength(160)
    for (const [i, spec] of read.schema.entries()) {
      expect([spec.name, read.rows.map((row) => plain(row[i], spec.type))]).toEqual([
        spec.name,
        expected[spec.name],
      ])
    }
  })

  it('gives each column its type', async () => {
    const read = await readAll(await fixture('v1-snappy.parquet'), { name })
    expect(Object.fromEntries(read.schema.map((spec) => [spec.name, spec.type]))).toMatchObject({
      flag: 'boolean',
      small: 'integer',
      unsigned: 'bigint',
      long: 'bigint',
      ulong: 'decimal',
      real: 'double',
      day: 'date',
      millis: 'timestamp',
      micros: 'timestamptz',
      money: 'decimal',
      word: 'text',
      list: 'json',
      struct: 'json',
    })
    expect(read.schema.find((spec) => spec.name === 'required')?.nullable).toBe(false)
  })

  it('reads only the wanted columns, in the wanted order', async () => {
    const storage = memoryStorage(await fixture('v2-zstd.parquet'))
    const read = await readAll(storage, { name, columns: ['repeat', 'required'] })
    expect(read.rows.slice(0, 3)).toEqual([
      ['red', 0n],
      ['green', 1n],
      ['blue', 4n],
    ])
    expect((await failureOf(storage, { name, columns: ['nowhere'] })).code).toBe('schema_mismatch')
  })

  it('refuses a declared type that the file contradicts', async () => {
    const schema = [{ name: 'word', type: 'integer', nullable: true }] as const
    const failure = await failureOf(await fixture('v2-zstd.parquet'), { name, schema: [...schema] })
    expect(failure.message).toBe(
      'The column "word" of the file "data.parquet" is text, not integer; cast it in a transform.',
    )
  })

  it('shares the strings of a dictionary, and splits a batch whose text would be large', async () => {
    const long = 'x'.repeat(4000)
    const data = Array.from({ length: 20_000 }, (_, i) => (i % 2 ? long : `${long}y`))
    const bytes = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 's', data, type: 'STRING' }], rowGroupSize: 20_000 }),
    )
    const reader = await openFile(memoryStorage(bytes), key, { name, signal: new AbortController().signal })
    let rows = 0
    for await (const { batch } of reader.batches) {
      expect(batch.rows * 4000).toBeLessThan(9 * 1024 * 1024)
      expect(batch.columns[0]?.values[1]).toBe(rows % 2 ? `${long}y` : long)
      rows += batch.rows
    }
    expect(rows).toBe(20_000)
  })

  it('goes on from any state with exactly the rows that were left', async () => {
    for (const file of ['v2-none-delta.parquet', 'v1-snappy.parquet']) {
      const bytes = await fixture(file)
      const whole = await readAll(bytes, { name })
      for (const group of [0, 1]) {
        for (const row of [0, 1, 15, 16, 59]) {
          const rest = await readAll(bytes, { name, state: { etag: '"1"', group, row } })
          expect(rest.rows).toEqual(whole.rows.slice(group * 100 + row))
        }
      }
    }
  })

  it('skips pages it does not need without fetching them', async () => {
    const data = Float64Array.from({ length: 2_000_000 }, (_, i) => i * 1.1)
    const bytes = new Uint8Array(
      parquetWriteBuffer({
        columnData: [{ name: 'n', data, type: 'DOUBLE' }],
        rowGroupSize: 2_000_000,
        codec: 'UNCOMPRESSED',
      }),
    )
    const storage = memoryStorage(bytes)
    const read = await readAll(storage, { name, state: { etag: '"1"', group: 0, row: 1_999_990 } })
    expect(read.rows).toHaveLength(10)
    const fetched = storage.reads.reduce((sum, one) => sum + one.bytes, 0)
    expect(bytes.length).toBeGreaterThan(15_000_000)
    expect(fetched).toBeLessThan(bytes.length / 2)
  })

  it('comes back as it was written, whatever is in it', async () => {
    const text = fc.option(
      fc
        .string({ unit: 'grapheme', maxLength: 8 })
        .filter((value) => !value.includes('\0') && value.isWellFormed()),
      { nil: null },
    )
    const long = fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: null })
    const row = fc.record({
      s: text,
      n: long,
      d: fc.option(fc.double({ noNaN: true }), { nil: null }),
      b: fc.option(fc.boolean(), { nil: null }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 60 }),
        fc.constantFrom('SNAPPY' as const, 'UNCOMPRESSED' as const, 'ZSTD' as const),
        fc.integer({ min: 20, max: 300 }),
        async (rows, codec, pageSize) => {
          const bytes = parquetWriteBuffer({
            columnData: [
              { name: 's', data: rows.map((one) => one.s), type: 'STRING' },
              { name: 'n', data: rows.map((one) => one.n), type: 'INT64' },
              { name: 'd', data: rows.map((one) => one.d), type: 'DOUBLE' },
              { name: 'b', data: rows.map((one) => one.b), type: 'BOOLEAN' },
            ],
            codec,
            compressors: { ZSTD: (input) => zstdCompressSync(input) },
            pageSize,
            rowGroupSize: 25,
          })
          const read = await readAll(new Uint8Array(bytes), { name })
          expect(read.rows).toEqual(rows.map(({ s, n, d, b }) => [s, n, d, b]))
        },
      ),
      cases(150),
    )
  })
})
