import { gzipSync, zstdCompressSync, constants } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cases, isLongForm } from '#test/support/long-form.ts'
import { memoryStorage } from './memory-storage.ts'
import { goOnFromAnyState, manyLines } from './any-state.ts'
import { failureOf, readAll } from './read-all.ts'

const types = (read: { schema: { type: string }[] }): string[] => read.schema.map((spec) => spec.type)

describe('CSV', () => {
  it('reads quotes, doubled quotes, line ends within quotes, CRLF and a byte order mark', async () => {
    const read = await readAll('\ufeffid,note\r\n1,"a ""b"", c"\r\n2,"two\r\nlines"\r\n3,plain "inside" \r\n')
    expect(read.rows).toEqual([
      [1n, 'a "b", c'],
      [2n, 'two\r\nlines'],
      [3n, 'plain "inside" '],
    ])
  })

  it('tells an empty text from a null, and takes any empty for null elsewhere', async () => {
    const read = await readAll('a,b,c\nx,1,\n"",,\n,"",\n')
    expect(types(read)).toEqual(['text', 'bigint', 'text'])
    expect(read.rows).toEqual([
      ['x', 1n, null],
      ['', null, null],
      [null, null, null],
    ])
  })

  it('needs no line end after the last row, and keeps its last empty field', async () => {
    expect((await readAll('a,b\n1,x\n2,')).rows).toEqual([
      [1n, 'x'],
      [2n, null],
    ])
  })

  it('skips blank lines between rows of several columns', async () => {
    expect((await readAll('a,b\n\n1,2\r\n\r\n3,4\n\n')).rows).toEqual([
      [1n, 2n],
      [3n, 4n],
    ])
  })

  it.each([',', ';', '\t', '|'])('finds out that %j is the delimiter', async (delimiter) => {
    const text = [
      ['a', 'b', 'c'],
      ['1', '"x,;|\ty"', '2'],
      ['3', 'z', '4'],
    ]
      .map((row) => row.join(delimiter))
      .join('\n')
    expect((await readAll(text)).rows).toEqual([
      [1n, 'x,;|\ty', 2n],
      [3n, 'z', 4n],
    ])
  })

  it('infers types, and leaves codes with leading zeros as text', async () => {
    const read = await readAll(
      [
        'flag,whole,broken,long,code,day,moment,zoned,big,word',
        'true,-5,1.5,12345678.123456789,007,2024-02-29,2024-02-29 12:30:00.25,2024-02-29T12:30:00+02:00,99999999999999999999,yes',
        'FALSE,9223372036854775807,-.5e3,2,123,1969-12-31,2024-03-01,1970-01-01T00:00:00Z,1,no',
      ].join('\n'),
    )
    expect(types(read)).toEqual([
      'boolean',
      'bigint',
      'double',
      'decimal',
      'text',
      'date',
      'timestamp',
      'timestamptz',
      'decimal',
      'text',
    ])
    expect(read.rows).toEqual([
      [
        true,
        -5n,
        1.5,
        '12345678.123456789',
        '007',
        19_782,
        1_709_209_800_250_000n,
        1_709_202_600_000_000n,
        '99999999999999999999',
        'yes',
      ],
      [false, 9_223_372_036_854_775_807n, -500, '2', '123', -1, 1_709_251_200_000_000n, 0n, '1', 'no'],
    ])
  })

  it('takes what only looks like a date for text', async () => {
    expect((await readAll('d\n2024-02-30\n')).rows).toEqual([['2024-02-30']])
  })

  it('reads declared types, and only the wanted columns in the wanted order', async () => {
    const schema = [
      { name: 'n', type: 'integer', nullable: true },
      { name: 'j', type: 'json', nullable: true },
      { name: 'ok', type: 'boolean', nullable: true },
    ] as const
    const read = await readAll('n,j,ok,rest\n 7 ,"{""a"":[1]}",yes,x\n', {
      schema: [...schema],
      columns: ['ok', 'j', 'n'],
    })
    expect(read.rows).toEqual([[true, '{"a":[1]}', 7]])
    expect(read.schema.map((spec) => spec.name)).toEqual(['ok', 'j', 'n'])
  })

  it('yields no batch for a file with a header only', async () => {
    const read = await readAll('a,b\n')
    expect(read.rows).toEqual([])
    expect(types(read)).toEqual(['text', 'text'])
  })

  it('is the same plain, as gzip and as zstd, in frames and with and without checksum', async () => {
    const text = `id,word\n${Array.from({ length: 3000 }, (_, i) => `${i},wörd ${i % 7}`).join('\n')}\n`
    const plain = await readAll(text)
    expect(plain.rows).toHaveLength(3000)
    const half = text.length >> 1
    const level = { params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 19 } }
    const packed = {
      'data.csv.gz': gzipSync(text),
      'data.csv.zst': zstdCompressSync(text),
      'data.tsv.zstd': zstdCompressSync(text, level),
      'frames.csv.zst': Buffer.concat([
        zstdCompressSync(text.slice(0, half), level),
        zstdCompressSync(text.slice(half)),
        zstdCompressSync(''),
      ]),
    }
    const ways = [[65_536], [1, 3, 1000], [17]]
    for (const [i, [name, bytes]] of Object.entries(packed).entries()) {
      for (const chunks of isLongForm ? ways : [ways[i % ways.length] ?? []]) {
        expect((await readAll(memoryStorage(new Uint8Array(bytes), chunks), { name })).rows).toEqual(
          plain.rows,
        )
      }
    }
  })
})

/** Text without what no file can hold, biased towards what is awkward in CSV. */
const awkward = fc.oneof(
  fc.constantFrom('', '"', '""', ',', '\n', '\r\n', '\r', ' ', 'é', '😀', 'a"b', ' x ', ';|\t', '0', 'null'),
  fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .filter((text) => !text.includes('\0') && text.isWellFormed()),
)
const rowsOf = (columns: number) =>
  fc.array(fc.array(fc.option(awkward, { nil: null }), { minLength: columns, maxLength: columns }), {
    minLength: 1,
    maxLength: 30,
  })
const tables = fc.integer({ min: 2, max: 5 }).chain((columns) => rowsOf(columns))
const quoted = (value: string | null): string => (value === null ? '' : `"${value.replaceAll('"', '""')}"`)
const maybeBare = (value: string | null): string =>
  value !== null && /^[a-z0-9é😀]+$/u.test(value) ? value : quoted(value)

describe('any table', () => {
  it('comes back from CSV, however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        tables,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (rows, chunks, crlf) => {
          const names = (rows[0] ?? []).map((_, i) => `c${i}`)
          const end = crlf ? '\r\n' : '\n'
          const text = [names.join(','), ...rows.map((row) => row.map(maybeBare).join(','))].join(end) + end
          const schema = names.map((name) => ({ name, type: 'text' as const, nullable: true }))
          const read = await readAll(memoryStorage(text, chunks), { schema, delimiter: ',' })
          expect(read.rows).toEqual(rows)
        },
      ),
      cases(300),
    )
  })

  it('goes on from any state with exactly the rows that were left', async () => {
    const bytes = new TextEncoder().encode(manyLines())
    expect(await goOnFromAnyState('data.csv', bytes)).toBeGreaterThan(2)
  })

  it('reads only the rest of a plain file when it goes on', async () => {
    const text = `id,word\n${Array.from({ length: 400_000 }, (_, i) => `${i},word\n`).join('')}`
    const first = memoryStorage(text)
    const { states } = await readAll(first)
    const state = states.at(-2)
    expect(state).toBeDefined()
    const second = memoryStorage(text)
    await readAll(second, state ? { state } : {})
    expect(second.reads.at(-1)?.start).toBe(state?.['at'])
  })

  it('refuses to go on in a file that was replaced', async () => {
    const storage = memoryStorage('a,b\n1,2\n')
    const { states } = await readAll(storage)
    storage.replace('a,b\n1,2\n3,4\n')
    const state = states[0]
    expect((await failureOf(storage, state ? { state } : {})).code).toBe('file_changed')
  })
})
