import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataPage, forge } from './forge-parquet.ts'
import { failureOf, readAll } from './read-all.ts'
import { breakBytes, costOf, files, fixture } from './wrong-bytes.ts'

const name = 'bad.parquet'
const longs = (...values: bigint[]): Uint8Array => new Uint8Array(BigInt64Array.from(values).buffer)

describe('a bad Parquet file', () => {
  const escaped: unknown[] = []
  const onEscape = (reason: unknown): void => void escaped.push(reason)
  beforeAll(() => void process.on('unhandledRejection', onEscape))
  afterAll(() => {
    process.off('unhandledRejection', onEscape)
    expect(escaped).toEqual([])
  })

  it('is told from a good forgery', async () => {
    expect((await readAll(forge({ rows: 2, pages: [dataPage(2, longs(1n, -2n))] }), { name })).rows).toEqual([
      [1n],
      [-2n],
    ])
  })

  const huge = 2_000_000_000
  const dictionary = (values: number, body: Uint8Array) => ({
    header: {
      type: 'DICTIONARY_PAGE' as const,
      uncompressed_page_size: body.length,
      compressed_page_size: body.length,
      dictionary_page_header: { num_values: values, encoding: 'PLAIN' as const },
    },
    body,
  })
  it.each<[string, Uint8Array, RegExp]>([
    [
      'promises two billion rows',
      forge({ rows: huge, pages: [dataPage(huge, longs(1n))] }),
      /claims 2000000000 rows in \d+ bytes/,
    ],
    [
      'promises more values than rows',
      forge({ pages: [dataPage(1, longs(1n))], meta: { num_values: BigInt(huge) } }),
      /claims 2000000000 values for 1 rows/,
    ],
    [
      'promises more bytes than it has',
      forge({ pages: [dataPage(1, longs(1n))], meta: { total_compressed_size: BigInt(huge) } }),
      /claims bytes that the file does not have/,
    ],
    [
      'points before its beginning',
      forge({ pages: [dataPage(1, longs(1n))], meta: { data_page_offset: -5n } }),
      /claims bytes/,
    ],
    [
      'has a page of two gigabytes in a few bytes',
      forge({
        pages: [dataPage(1, new Uint8Array(zstdCompressSync(longs(1n))), huge)],
        meta: { codec: 'ZSTD' },
      }),
      /a page of 2000 MB is larger/,
    ],
    [
      'has a page that does not become as long as it says',
      forge({ pages: [dataPage(1, new Uint8Array(gzipSync(longs(1n))), 4096)], meta: { codec: 'GZIP' } }),
      /not as long as it should be/,
    ],
    [
      'has a page with fewer values than it says',
      forge({ rows: 5, pages: [dataPage(5, longs(1n))] }),
      /row group 1, column "n": it is damaged/,
    ],
    [
      'has fewer pages than rows',
      forge({ rows: 5, pages: [dataPage(1, longs(1n))] }),
      /it ends before its last row/,
    ],
    [
      'has a dictionary of two billion values',
      forge({
        pages: [dictionary(huge, longs(1n)), dataPage(1, Uint8Array.of(1, 2, 0), 3, 'RLE_DICTIONARY')],
      }),
      /a dictionary claims more values/,
    ],
    [
      'points outside of its dictionary',
      forge({ pages: [dictionary(1, longs(1n)), dataPage(1, Uint8Array.of(3, 2, 5), 3, 'RLE_DICTIONARY')] }),
      /points outside of its dictionary/,
    ],
    [
      'needs a dictionary that is not there',
      forge({ pages: [dataPage(1, Uint8Array.of(1, 2, 0), 3, 'RLE_DICTIONARY')] }),
      /needs a dictionary/,
    ],
    [
      'has deltas in a block of two billion',
      forge({
        pages: [
          dataPage(
            1,
            Uint8Array.of(0x80, 0xa8, 0xd6, 0xb9, 7, 0x80, 0xa8, 0xd6, 0xb9, 7, 1, 2),
            12,
            'DELTA_BINARY_PACKED',
          ),
        ],
      }),
      /a block of deltas has an impossible size/,
    ],
    [
      'has text that is not UTF-8',
      forge({ pages: [dataPage(1, Uint8Array.of(2, 0, 0, 0, 0xc3, 0x28))], meta: { type: 'BYTE_ARRAY' } }),
      /column "n": a value is not UTF-8 text. Leave the column out/,
    ],
    [
      'has a NUL in a text',
      forge({ pages: [dataPage(1, Uint8Array.of(1, 0, 0, 0, 0))], meta: { type: 'BYTE_ARRAY' } }),
      /a value holds a NUL character/,
    ],
    [
      'has a text longer than its page',
      forge({ pages: [dataPage(1, Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 0))], meta: { type: 'BYTE_ARRAY' } }),
      /it is damaged/,
    ],
    [
      'has a compression that nobody knows',
      forge({ pages: [dataPage(1, longs(1n))], meta: { codec: 'LZO' } }),
      /the compression LZO is not supported/,
    ],
    [
      'has a column of fixed length without a length',
      forge({ pages: [dataPage(1, longs(1n))], meta: { type: 'FIXED_LEN_BYTE_ARRAY' } }),
      /it has no length/,
    ],
    ['is too short', new TextEncoder().encode('PAR1'), /too short/],
    ['is something else', new TextEncoder().encode('id,name\n1,Ann\n'), /does not end like a Parquet file/],
    ['is encrypted', new TextEncoder().encode('PARE12345678PARE'), /is encrypted/],
    [
      'has a footer longer than itself',
      Uint8Array.of(0x50, 0x41, 0x52, 0x31, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0x50, 0x41, 0x52, 0x31),
      /its footer claims to be longer than the file/,
    ],
    [
      'has a list of two billion in its footer',
      footer(Uint8Array.of(0x15, 2, 0x19, 0xfc, 0x80, 0xa8, 0xd6, 0xb9, 7)),
      /its footer is damaged/,
    ],
    ['has a footer nested without end', footer(new Uint8Array(100_000).fill(0x1c)), /its footer is damaged/],
  ])('that %s is refused in clear words, at no cost', async (_what, bytes, words) => {
    const cost = await costOf(async () => {
      const failure = await failureOf(bytes, { name })
      expect([failure.code, failure.message]).toEqual([
        expect.stringMatching(/^bad_(parquet|value)$/),
        expect.stringMatching(words),
      ])
      expect(failure.message).toContain('"bad.parquet"')
    })
    expect(cost.bytes).toBeLessThan(16 * 1024 * 1024)
    expect(cost.ms).toBeLessThan(1000)
  })

  it('that is cut off anywhere is refused', async () => {
    const whole = await fixture('v1-snappy.parquet')
    for (let length = 1; length < whole.length; length += 997) {
      expect((await failureOf(whole.slice(0, length), { name })).code).toBe('bad_parquet')
    }
  })

  it('is noticed by its checksums', async () => {
    const bytes = await fixture('v2-zstd.parquet')
    const middle = bytes.indexOf(0xfd, 2000)
    bytes[middle + 12] = (bytes[middle + 12] ?? 0) ^ 1
    expect((await failureOf(bytes, { name })).message).toMatch(/the checksum of a page is wrong/)
  })

  it.each(files)('with any bytes wrong never does worse than fail: 10 of %s', async (file) => {
    await breakBytes(file, 10)
    expect(escaped).toEqual([])
  })
})

function footer(thrift: Uint8Array): Uint8Array {
  const magic = new TextEncoder().encode('PAR1')
  const length = new Uint8Array(Uint32Array.of(thrift.length).buffer)
  return new Uint8Array(Buffer.concat([magic, thrift, length, magic]))
}
