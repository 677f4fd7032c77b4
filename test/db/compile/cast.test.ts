import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { compileTransform } from '#src/db/compile/transform.ts'
import { columnTypes, sqlTypes, type ColumnType } from '#src/domain/column.ts'

let client: pg.Client
beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('ownerUrl') })
  await client.connect()
})
afterAll(() => client.end())

/** Values of each type, the most extreme among them. */
const samples: Record<ColumnType, string[]> = {
  boolean: ['true', 'false'],
  integer: ['0', '1', '2147483647', '-2147483648'],
  bigint: ['0', '2147483648', '-2147483649', '9223372036854775807', '-9223372036854775808'],
  double: [
    '0',
    '1.5',
    '2147483647.4',
    '2147483647.5',
    '-2147483648.4',
    '9223372036854775808',
    '1e308',
    '-1e308',
    'NaN',
    'Infinity',
    '-Infinity',
  ],
  decimal: [
    '0',
    '1.5',
    '2147483647.4999',
    '2147483647.5',
    '-2147483648.5',
    '9223372036854775807.4',
    '9223372036854775807.5',
    '1e400',
    'NaN',
    'Infinity',
  ],
  text: [
    '',
    'x',
    ' 12 ',
    '12',
    '1.5',
    'true',
    '2001-01-01',
    '2001-02-30',
    '2001-01-01T10:00:00Z',
    '{"a":1}',
    '"x',
    '1e999',
    '\\u0000',
  ],
  date: ['2001-01-01', '0001-01-01', '5874897-12-31', 'infinity'],
  timestamp: ['2001-01-01 12:30:00.123456', '294276-12-31 23:59:59', '-infinity'],
  timestamptz: ['2001-01-01 12:30:00.123456+02', '294276-12-30 23:59:59Z', 'infinity'],
  json: ['null', '1', '1.5', '"12"', '"x"', 'true', '{"a": [1]}', '"2001-01-01"', '1e999'],
}

async function cast(
  op: 'cast' | 'try_cast',
  from: ColumnType,
  to: ColumnType,
  value: string,
): Promise<string | null> {
  const compiled = compileTransform(
    [{ op, with: { v: to } }],
    [{ name: 'v', type: from, nullable: true }],
    {},
  )
  // A subquery with OFFSET is no constant that the planner could work with before CASE is asked; nor is a table.
  const relation = `(select $1::${sqlTypes[from]} as v offset 0) one`
  const { rows } = await client.query({
    text: `select v::text from (${compiled.sql(relation)}) cast_`,
    values: [value, ...compiled.params],
    rowMode: 'array',
  })
  return rows[0]?.[0] ?? null
}

const impossible = new Set(
  ['date', 'timestamp', 'timestamptz'].flatMap((time) =>
    ['boolean', 'integer', 'bigint', 'double', 'decimal'].flatMap((other) => [
      `${time} ${other}`,
      `${other} ${time}`,
    ]),
  ),
)

describe.each(columnTypes)('a %s column', (from) => {
  it.each(columnTypes)('to %s: try_cast gives what cast gives, or null where cast fails', async (to) => {
    if (impossible.has(`${from} ${to}`)) {
      expect(() =>
        compileTransform([{ op: 'cast', with: { v: to } }], [{ name: 'v', type: from, nullable: true }], {}),
      ).toThrow(`is ${from}, which cannot be cast to ${to}`)
      return
    }
    let read = 0
    for (const value of samples[from]) {
      const strict = await cast('cast', from, to, value).catch((error: { code?: string }) => ({
        code: error.code,
      }))
      const lenient = await cast('try_cast', from, to, value)
      if (typeof strict === 'object' && strict !== null) {
        expect(strict.code).toMatch(/^(22|0A)/)
        expect(lenient).toBeNull()
      } else {
        expect([value, lenient]).toEqual([value, strict])
        read++
      }
    }
    expect(read).toBeGreaterThan(0)
  })
})

it('takes times without a zone for UTC, whatever the session says', async () => {
  await client.query(`set timezone = 'Asia/Tokyo'`)
  try {
    const compiled = compileTransform(
      [{ op: 'cast', with: { a: 'timestamptz', b: 'timestamp', c: 'date' } }],
      [
        { name: 'a', type: 'timestamp', nullable: true },
        { name: 'b', type: 'timestamptz', nullable: true },
        { name: 'c', type: 'timestamptz', nullable: true },
      ],
      {},
    )
    const relation = `(select timestamp '2001-01-01 23:00' as a, timestamptz '2001-01-01 23:00Z' as b, timestamptz '2001-01-01 23:00Z' as c) one`
    const { rows } = await client.query(
      `select extract(epoch from a)::text as a, b::text, c::text from (${compiled.sql(relation)}) q`,
    )
    expect(rows).toEqual([{ a: '978390000.000000', b: '2001-01-01 23:00:00', c: '2001-01-01' }])
  } finally {
    await client.query('reset timezone')
  }
})
