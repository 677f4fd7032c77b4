import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cases } from '#test/support/long-form.ts'
import { memoryStorage } from './memory-storage.ts'
import { failureOf, readAll } from './read-all.ts'

const name = 'data.ndjson'
const lines = (...objects: unknown[]): string =>
  objects.map((object) => `${JSON.stringify(object)}\n`).join('')

describe('NDJSON', () => {
  it('makes columns of the keys in the order they are first seen, and types of their values', async () => {
    const read = await readAll(
      lines(
        {
          id: 1,
          ok: true,
          part: 1.5,
          name: 'Ann',
          day: '2024-02-29',
          at: '2024-02-29T12:00:00Z',
          tags: ['a'],
        },
        {
          id: -2,
          ok: null,
          part: 2,
          name: 'Bo\n',
          day: '1970-01-02',
          at: '1970-01-01T00:00:01Z',
          tags: { a: 1 },
          extra: '12',
        },
      ),
      { name },
    )
    expect(read.schema.map((spec) => `${spec.name} ${spec.type}`)).toEqual([
      'id bigint',
      'ok boolean',
      'part double',
      'name text',
      'day date',
      'at timestamptz',
      'tags json',
      'extra text',
    ])
    expect(read.rows).toEqual([
      [1n, true, 1.5, 'Ann', 19_782, 1_709_208_000_000_000n, '["a"]', null],
      [-2n, null, 2, 'Bo\n', 1, 1_000_000n, '{"a":1}', '12'],
    ])
  })

  it('loses no digit of a long number, nested ones included', async () => {
    const read = await readAll(
      '{"id":9007199254740993,"price":0.1234567890123456789,"deep":{"n":12345678901234567890}}\n',
      { name },
    )
    expect(read.rows).toEqual([
      [9_007_199_254_740_993n, '0.1234567890123456789', '{"n":12345678901234567890}'],
    ])
  })

  it('keeps mixed values as text or JSON', async () => {
    const read = await readAll(lines({ a: 1, b: 1 }, { a: 'x', b: [2] }), { name })
    expect(read.rows).toEqual([
      ['1', '1'],
      ['x', '[2]'],
    ])
  })

  it('is not confused by keys that every object inherits', async () => {
    const read = await readAll('{"constructor":1,"__proto__":2,"toString":"x"}\n{}\n', { name })
    expect(read.rows).toEqual([
      [1n, 2n, 'x'],
      [null, null, null],
    ])
  })

  it('skips blank lines and needs no line end after the last', async () => {
    expect((await readAll('\n{"a":1}\r\n\r\n{"a":2}', { name })).rows).toEqual([[1n], [2n]])
  })

  const text = fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .filter((value) => !value.includes('\0') && value.isWellFormed())
  const row = fc.record({
    s: fc.option(text, { nil: null }),
    n: fc.option(fc.maxSafeInteger(), { nil: null }),
    d: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null }),
  })

  it('comes back as it was written, however its bytes are cut', async () => {
    const schema = [
      { name: 's', type: 'text', nullable: true },
      { name: 'n', type: 'bigint', nullable: true },
      { name: 'd', type: 'double', nullable: true },
    ] as const
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        async (rows, chunks) => {
          const read = await readAll(memoryStorage(lines(...rows), chunks), { name, schema: [...schema] })
          const written = JSON.parse(JSON.stringify(rows)) as typeof rows
          const wanted = written.map(({ s, n, d }) => [s, n === null ? null : BigInt(n), d])
          const names = read.schema.map((spec) => spec.name)
          expect(
            read.rows.map((values) =>
              ['s', 'n', 'd'].map((wantedName) => values[names.indexOf(wantedName)] ?? null),
            ),
          ).toEqual(wanted)
        },
      ),
      cases(200),
    )
  })

  it('goes on from any state with exactly the rows that were left', async () => {
    const content = Array.from(
      { length: 120_000 },
      (_, i) => `{"id":${i},"s":"é${i}"}\n${i % 50 === 0 ? '\n' : ''}`,
    ).join('')
    const whole = await readAll(content, { name })
    expect(whole.rows).toHaveLength(120_000)
    expect(whole.states.length).toBeGreaterThan(2)
    for (const [i, state] of whole.states.entries()) {
      expect((await readAll(content, { name, state })).rows).toEqual(whole.rows.slice(whole.rowsBefore[i]))
    }
  })

  it.each<[string, string | Uint8Array, string, RegExp]>([
    ['is one array', '[{"a":1}]', 'unknown_format', /is one JSON array/],
    ['has a line that is not JSON', '{"a":1}\n{"a":\n', 'bad_json', /row 2: "\{\\"a\\":" is not JSON/],
    ['has a line that is no object', '{"a":1}\n[1]\n', 'bad_json', /row 2: "\[1\]" is not an object/],
    ['has a NUL in a text', '{"a":"x\\u0000"}\n', 'bad_value', /row 1, column "a": .*NUL/],
    ['has half a surrogate pair', '{"a":"\\ud800"}\n', 'bad_value', /row 1, column "a": .*surrogate/],
    ['has a NUL deep in a value', '{"a":{"b":["\\u0000"]}}\n', 'bad_value', /row 1, column "a": .*NUL/],
    [
      'is not UTF-8',
      new Uint8Array(
        Buffer.concat([Buffer.from('{"a":1}\n{"a":"'), Buffer.from([0xff]), Buffer.from('"}\n')]),
      ),
      'bad_encoding',
      /row 2: the byte at 14/,
    ],
    [
      'has a value of another type later on',
      `${'{"a":1}\n'.repeat(140_000)}{"a":"one"}\n`,
      'bad_value',
      /row 140001, column "a": "one" is not a whole number/,
    ],
    [
      'has a key that its beginning has not',
      `${'{"a":1}\n'.repeat(140_000)}{"a":1,"b":2}\n`,
      'schema_mismatch',
      /row 140001: it has the key "b"/,
    ],
    ['has an empty key', '{"":1}\n', 'bad_header', /empty key/],
  ])('that %s is refused in clear words', async (_what, content, code, words) => {
    const failure = await failureOf(content, { name })
    expect([failure.code, failure.message]).toEqual([code, expect.stringMatching(words)])
  })
})
