import { gzipSync, zstdCompressSync, constants } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { openFile } from '#src/connectors/files/files.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { isLongForm } from '#test/support/long-form.ts'
import { key, memoryStorage } from './memory-storage.ts'
import { failureOf } from './read-all.ts'

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) => Buffer.from(typeof part === 'string' ? Buffer.from(part) : Uint8Array.from(part))),
    ),
  )
const filler = (rows: number): string => Array.from({ length: rows }, (_, i) => `${i},x\n`).join('')

describe('a bad text file', () => {
  it.each<[string, Uint8Array | string, string, RegExp]>([
    [
      'a row with too few fields',
      'a,b,c\n1,2,3\n4,5\n',
      'bad_csv',
      /row 2: it has 2 fields, the header has 3/,
    ],
    [
      'a row with too many fields',
      `a,b\n${filler(70_000)}1,2,3\n`,
      'bad_csv',
      /row 70001: it has 3 fields, the header has 2/,
    ],
    [
      'a quote that is never closed',
      'a,b\n1,"x\n2,y\n',
      'bad_csv',
      /row 1, field 2: its quote is never closed/,
    ],
    [
      'text after a closing quote',
      'a,b\n1,"x"y\n',
      'bad_csv',
      /row 1, field 2: text follows its closing quote/,
    ],
    [
      'bytes that are not UTF-8',
      bytes('a,b\n1,x\n2,', [0xe9], '\n'),
      'bad_encoding',
      /row 2: the byte at 10 is not UTF-8/,
    ],
    [
      'a character that is cut off',
      bytes('a,b\n1,x\n2,', [0xe2, 0x82], '\n3,y\n'),
      'bad_encoding',
      /row 2: the byte at 10 is not UTF-8/,
    ],
    ['a surrogate as UTF-8', bytes('a,b\n1,', [0xed, 0xa0, 0x80], '\n'), 'bad_encoding', /row 1/],
    [
      'bad bytes deep in the file',
      bytes('a,b\n', filler(200_000), '1,', [0xff], '\n'),
      'bad_encoding',
      /row 200001: the byte at \d{7} /,
    ],
    ['UTF-16', bytes([0xff, 0xfe], 'a\0,\0b\0\n\0'), 'bad_encoding', /UTF-16; save it as UTF-8/],
    ['a NUL', 'a,b\n1,x\n2,y\0z\n', 'bad_value', /row 2: it holds a NUL byte/],
    ['two columns of one name', 'a,b,a\n1,2,3\n', 'bad_header', /two columns are called "a"/],
    ['a column without a name', 'a,,c\n1,2,3\n', 'bad_header', /column 2 has no name/],
    [
      'too many columns',
      `${Array.from({ length: 1601 }, (_, i) => `c${i}`).join(',')}\n`,
      'bad_header',
      /1601 columns, more than the 1600/,
    ],
    ['lines that end with CR alone', 'a,b\r1,2\r', 'bad_header', /CR alone/],
    ['nothing', '', 'file_empty', /is empty/],
    ['nothing but blank lines', '\n \n\r\n', 'file_empty', /is empty/],
    ['Parquet named CSV', 'PAR1....', 'unknown_format', /is Parquet inside/],
    ['gzip named CSV', new Uint8Array(gzipSync('a\n1\n')), 'unknown_format', /is gzip inside/],
  ])('with %s is refused in clear words', async (_what, content, code, words) => {
    const failure = await failureOf(memoryStorage(content, [1000]), { name: 'bad.csv' })
    expect([failure.code, failure.message]).toEqual([code, expect.stringMatching(words)])
    expect(failure.message).toContain('"bad.csv"')
    expect(failure.retryable).toBe(false)
  })

  it('says which row and column hold a value that is not of the inferred type, and what to do', async () => {
    const long = `not a number, and much longer than forty characters`
    const failure = await failureOf(
      `id,n\n${filler(0)}${Array.from({ length: 150_000 }, (_, i) => `${i},${i}`).join('\n')}\n7,"${long}"\n`,
    )
    expect(failure.code).toBe('bad_value')
    expect(failure.message).toMatch(
      /row 150001, column "n": "not a number, and much longer than fort…" is not a whole number of 64 bits. .* declare the column as text/,
    )
  })

  it('says so differently when the type was declared', async () => {
    const failure = await failureOf('n\n1\n3000000000\n', {
      schema: [{ name: 'n', type: 'integer', nullable: true }],
    })
    expect(failure.message).toMatch(
      /row 2, column "n": "3000000000" is not a whole number of 32 bits. The column is declared as integer/,
    )
  })

  it('names the columns there are when one is asked for that is not', async () => {
    const failure = await failureOf('a,b\n1,2\n', { columns: ['a', 'x'] })
    expect([failure.code, failure.message]).toEqual([
      'schema_mismatch',
      'The file "data.csv" has no column "x"; it has a, b.',
    ])
  })

  it('cannot be read incrementally', async () => {
    expect((await failureOf('a\n1\n', { cursor: { column: 'a', after: '0' } })).code).toBe('not_incremental')
  })

  it('is not one whose format nothing tells', async () => {
    expect((await failureOf('a\n1\n', { name: 'data' })).code).toBe('unknown_format')
  })

  it.each(['data.csv', 'data.ndjson'])(
    'with a line of 200 MB is given up after a few of them (%s)',
    async (name) => {
      const head = name === 'data.csv' ? 'a,b\n1,"' : '{"a":1}\n{"a":"'
      const storage = endless(head, 200 * 1024 * 1024)
      const failure = await failureOf(storage, {
        name,
        schema: [{ name: 'a', type: 'text', nullable: true }],
      })
      expect([failure.code, failure.message]).toEqual([
        'row_too_long',
        expect.stringMatching(/longer than 8 MB/),
      ])
      expect(storage.served()).toBeLessThan(12 * 1024 * 1024)
    },
  )

  it.each([
    ['gzip', 'data.csv.gz', (text: string) => gzipSync(text)],
    [
      'zstd',
      'data.csv.zst',
      (text: string) => zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
    ],
  ] as const)('that is %s and damaged or cut off fails, wherever', async (_kind, name, pack) => {
    const packed = new Uint8Array(
      pack(`id,b\n${Array.from({ length: 2000 }, (_, i) => `${i},w${(i * 7919) % 1000}\n`).join('')}`),
    )
    for (let at = 12; at < packed.length; at += Math.ceil(packed.length / (isLongForm ? 60 : 20))) {
      const damaged = packed.slice()
      damaged[at] = (damaged[at] ?? 0) ^ 0x55
      expect((await failureOf(damaged, { name })).code).toBe('bad_compression')
      expect((await failureOf(packed.slice(0, at), { name })).code).toBe('bad_compression')
    }
  })

  it('of several gzip members is refused, not read in part', async () => {
    const packed = new Uint8Array(Buffer.concat([gzipSync('a,b\n1,2\n'), gzipSync('3,4\n')]))
    expect((await failureOf(packed, { name: 'data.csv.gz' })).code).toBe('bad_compression')
  })

  it('that unpacks to far more than it is does not fill the memory', async () => {
    const zeros = Buffer.alloc(96 * 1024 * 1024, 0x20)
    for (const [name, packed] of [
      ['bomb.csv.gz', gzipSync(Buffer.concat([Buffer.from('a,b\n1,'), zeros]))],
      ['bomb.csv.zst', zstdCompressSync(Buffer.concat([Buffer.from('a,b\n1,'), zeros]))],
    ] as const) {
      const before = process.memoryUsage().arrayBuffers
      expect((await failureOf(new Uint8Array(packed), { name })).code).toBe('row_too_long')
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
    }
  })

  it('whose zstd frame asks for a gigabyte of window is refused before it gets it', async () => {
    const before = process.memoryUsage().arrayBuffers
    const header = Uint8Array.from([
      0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ])
    const failure = await failureOf(header, { name: 'data.csv.zst' })
    expect([failure.code, failure.message]).toEqual([
      'bad_compression',
      expect.stringMatching(/window of 1024 MB/),
    ])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
  })

  it('whose reading breaks off may be retried', async () => {
    const storage = memoryStorage('a,b\n1,2\n')
    const broken: typeof storage = {
      ...storage,
      get: async () => ({
        bytes: 8,
        etag: '"1"',
        body: new ReadableStream<Uint8Array>({
          start: (controller) => controller.error(new Error('socket hang up')),
        }),
      }),
    }
    const failure = await failureOf(broken)
    expect([failure.code, failure.retryable]).toEqual(['storage_unavailable', true])
  })

  it('stops at once when it is cancelled, without a failure of its own', async () => {
    const controller = new AbortController()
    const storage = memoryStorage(`a,b\n${filler(300_000)}`)
    const reader = await openFile(storage, key, { name: 'data.csv', signal: controller.signal })
    const reading = async (): Promise<void> => {
      for await (const { batch } of reader.batches) {
        expect(batch.rows).toBeGreaterThan(0)
        controller.abort()
      }
    }
    const error: unknown = await reading().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(DOMException)
    expect(error).not.toBeInstanceOf(StepFailure)
  })
})

/** A file that begins with the text and goes on with letters; tells how much of it was taken. */
function endless(head: string, total: number): ReturnType<typeof memoryStorage> & { served(): number } {
  const start = new TextEncoder().encode(head)
  let served = 0
  return {
    ...memoryStorage(''),
    served: () => served,
    head: async () => ({ bytes: total, etag: '"1"' }),
    async get(_key, { range } = {}) {
      let at = range?.start ?? 0
      const end = range?.end ?? total
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            if (at >= end) return controller.close()
            const chunk = new Uint8Array(Math.min(65_536, end - at)).fill(0x61)
            if (at < start.length) chunk.set(start.subarray(at, at + chunk.length))
            at += chunk.length
            served += chunk.length
            controller.enqueue(chunk)
          },
        },
        { highWaterMark: 0 },
      )
      return { bytes: end - at, etag: '"1"', body }
    },
  }
}
