import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { quoteIdent } from '#src/db/compile/quote.ts'
import { compileTransform } from '#src/db/compile/transform.ts'
import type { ColumnSpec } from '#src/domain/column.ts'
import type { Transform } from '#src/domain/transform.ts'

let client: pg.Client

beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('ownerUrl') })
  await client.connect()
  await client.query(`create temp table people (id int4, name text, "the age" text, city text)`)
  await client.query(
    `insert into people values (1, 'Ada', '36', 'London'), (2, 'Alan', 'x', 'London'), (3, null, '41', 'Paris'), (3, 'Grace', null, 'Oslo'), (1, 'Ada', '37', 'Rome')`,
  )
})
afterAll(() => client.end())

const columns: ColumnSpec[] = [
  { name: 'id', type: 'integer', nullable: true },
  { name: 'name', type: 'text', nullable: true },
  { name: 'the age', type: 'text', nullable: true },
  { name: 'city', type: 'text', nullable: true },
]

async function run(operators: Transform[], parameters = {}) {
  const compiled = compileTransform(operators, columns, parameters)
  const { rows } = await client.query({
    text: compiled.sql('people'),
    values: compiled.params,
    rowMode: 'array',
  })
  return { rows, columns: compiled.columns }
}

const byId = (rows: unknown[][]) => rows.toSorted((a, b) => Number(a[0]) - Number(b[0]))

describe('a transform', () => {
  it('keeps, drops and renames columns, in the order that is written', async () => {
    const { rows, columns: made } = await run([
      { op: 'rename', with: { 'the age': 'age' } },
      { op: 'select', with: ['age', 'id'] },
      { op: 'drop', with: ['id'] },
    ])
    expect(made).toEqual([{ name: 'age', type: 'text', nullable: true }])
    expect(rows).toEqual([['36'], ['x'], ['41'], [null], ['37']])
  })

  it.each([
    [{ column: 'name', is: 'null' as const }, [3]],
    [{ column: 'name', is: 'not_null' as const }, [1, 2, 3, 1]],
    [{ column: 'id', eq: 3 }, [3, 3]],
    [{ column: 'id', ne: 3 }, [1, 2, 1]],
    [{ column: 'id', gt: 1 }, [2, 3, 3]],
    [{ column: 'id', gte: 2 }, [2, 3, 3]],
    [{ column: 'id', lt: 2 }, [1, 1]],
    [{ column: 'id', lte: 2 }, [1, 2, 1]],
    [{ column: 'city', in: ['Paris', 'Oslo'] }, [3, 3]],
    [{ column: 'id', between: [2, 3] as [number, number] }, [2, 3, 3]],
    [{ column: 'name', like: 'A%' }, [1, 2, 1]],
    [{ column: 'name', eq: `'; drop table people; --` }, []],
  ])('filters by %j', async (condition, ids) => {
    const { rows } = await run([{ op: 'filter', with: condition }])
    expect(rows.map(([id]) => id)).toEqual(ids)
  })

  it('puts the run’s parameters in as values', async () => {
    const { rows } = await run([{ op: 'filter', with: { column: 'city', eq: '${params.where}' } }], {
      where: 'Oslo',
    })
    expect(rows).toEqual([[3, 'Grace', null, 'Oslo']])
  })

  it('casts, and with try_cast turns what cannot be read into null', async () => {
    const { rows, columns: made } = await run([
      { op: 'try_cast', with: { 'the age': 'integer' } },
      { op: 'select', with: ['the age'] },
    ])
    expect(made).toEqual([{ name: 'the age', type: 'integer', nullable: true }])
    expect(rows).toEqual([[36], [null], [41], [null], [37]])
    await expect(run([{ op: 'cast', with: { 'the age': 'integer' } }])).rejects.toMatchObject({
      code: '22P02',
    })
  })

  it('tells after a cast has failed which values of which columns it could not read', async () => {
    const faults = async (operators: Transform[]) => {
      for (const fault of compileTransform(operators, columns, {}).faults) {
        const failure = fault.judge((await client.query(fault.sql('people'), fault.params)).rows[0])
        if (failure) return failure.message
      }
      return undefined
    }
    const age = { op: 'cast' as const, with: { 'the age': 'integer' as const, name: 'date' as const } }
    expect(await faults([age])).toBe(
      '4 values of column "name" cannot be read as date, and 1 value of column "the age" cannot be read as integer; try_cast makes them null.',
    )
    const older = { op: 'filter' as const, with: { column: 'the age', gt: 36 } }
    expect(
      await faults([
        { op: 'cast', with: { 'the age': 'integer' } },
        older,
        { op: 'cast', with: { city: 'date' } },
      ]),
    ).toMatch(/^1 value of column "the age"/)
    const readable = { op: 'filter' as const, with: { column: 'the age', like: '3%' } }
    expect(
      await faults([
        readable,
        { op: 'cast', with: { 'the age': 'integer' } },
        older,
        { op: 'deduplicate', with: { by: ['id'], keep: 'first' } },
        { op: 'cast', with: { city: 'json' } },
      ]),
    ).toMatch(/^1 value of column "city" cannot be read as json/)
    expect(await faults([readable, { op: 'cast', with: { 'the age': 'integer' } }, older])).toBeUndefined()
  })

  it('filters on what an earlier operator made', async () => {
    const { rows } = await run([
      { op: 'try_cast', with: { 'the age': 'integer' } },
      { op: 'rename', with: { 'the age': 'age' } },
      { op: 'filter', with: { column: 'age', gt: 36 } },
      { op: 'select', with: ['age'] },
    ])
    expect(rows).toEqual([[41], [37]])
  })

  it('keeps one row of each key, by an order or by where it is written, the same every time', async () => {
    const first = await run([{ op: 'deduplicate', with: { by: ['id'], keep: 'first' } }])
    expect(byId(first.rows)).toEqual([
      [1, 'Ada', '36', 'London'],
      [2, 'Alan', 'x', 'London'],
      [3, null, '41', 'Paris'],
    ])
    const last = await run([
      { op: 'deduplicate', with: { by: ['id'], orderBy: 'city', keep: 'last' } },
      { op: 'select', with: ['id', 'city'] },
    ])
    expect(byId(last.rows)).toEqual([
      [1, 'Rome'],
      [2, 'London'],
      [3, 'Paris'],
    ])
  })

  it('asks a filter before the casts that follow it, whatever PostgreSQL holds to be cheaper', async () => {
    const numbers = Array.from({ length: 500 }, (_, i) => String(i))
    const { rows } = await run([
      { op: 'filter', with: { column: 'the age', in: numbers } },
      { op: 'cast', with: { 'the age': 'integer' } },
      { op: 'filter', with: { column: 'the age', gte: 37 } },
      { op: 'select', with: ['the age'] },
    ])
    expect(rows).toEqual([[41], [37]])
  })

  it('has room for more values than a statement has parameters', async () => {
    const filters = Array.from({ length: 80 }, () => ({
      op: 'filter' as const,
      with: { column: 'id', in: Array.from({ length: 1_000 }, (_, i) => i) },
    }))
    expect((await run(filters)).rows.length).toBe(5)
  })

  it('compares a whole column with what it could not hold', async () => {
    expect((await run([{ op: 'filter', with: { column: 'id', gt: 1.5 } }])).rows.length).toBe(3)
    expect((await run([{ op: 'filter', with: { column: 'id', lt: 1e20 } }])).rows.length).toBe(5)
    expect((await run([{ op: 'filter', with: { column: 'id', in: [1, 1.5, '3'] } }])).rows.length).toBe(4)
  })

  it.each([
    [{ column: 'id', eq: 'x' }, /"id" is integer, and "x" cannot/],
    [{ column: 'id', eq: '1; drop table people' }, /"id" is integer/],
    [{ column: 'id', in: [1, true] }, /"id" is integer, and "true"/],
    [{ column: 'name', eq: 'a\0b' }, /"name" is text/],
    [{ column: 'id', eq: '${params.nobody}' }, /no parameter "nobody"/],
  ])('refuses to compare by %j', (condition, message) => {
    expect(() => compileTransform([{ op: 'filter', with: condition }], columns, {})).toThrow(message)
  })

  it('deduplicates twice, and columns with names like its own', async () => {
    const compiled = compileTransform(
      [
        { op: 'rename', with: { city: 'weir number', name: 'weir place' } },
        { op: 'deduplicate', with: { by: ['id', 'weir place'], keep: 'last' } },
        { op: 'deduplicate', with: { by: ['id'], keep: 'first' } },
      ],
      columns,
      {},
    )
    const { rows } = await client.query({
      text: compiled.sql('people'),
      values: compiled.params,
      rowMode: 'array',
    })
    expect(rows.toSorted(([a], [b]) => a - b)).toEqual([
      [1, 'Ada', '37', 'Rome'],
      [2, 'Alan', 'x', 'London'],
      [3, null, '41', 'Paris'],
    ])
  })

  it('reads the table once for filters, casts and renames together', async () => {
    const compiled = compileTransform(
      [
        { op: 'filter', with: { column: 'id', gt: 0 } },
        { op: 'cast', with: { id: 'bigint' } },
        { op: 'filter', with: { column: 'city', is: 'not_null' } },
        { op: 'rename', with: { id: 'key' } },
      ],
      columns,
      {},
    )
    const { rows } = await client.query({
      text: `explain ${compiled.sql('people')}`,
      values: compiled.params,
      rowMode: 'array',
    })
    const plan = rows.flat().join('\n')
    expect(plan.match(/Scan/g)).toHaveLength(1)
    expect(plan).not.toMatch(/Subquery|Sort|Materialize/)
  })

  it('names a column that is not there, and the one that was meant', () => {
    expect(() => compileTransform([{ op: 'drop', with: ['citty'] }], columns, {})).toThrow(
      /did you mean "city"/,
    )
    expect(() => compileTransform([{ op: 'rename', with: { id: 'name' } }], columns, {})).toThrow(
      /two columns named "name"/,
    )
    expect(() =>
      compileTransform([{ op: 'drop', with: ['id', 'name', 'the age', 'city'] }], columns, {}),
    ).toThrow(/no column/)
  })
})

describe('an identifier', () => {
  it('comes back as it was, whatever is in it', async () => {
    const bytes = (text: string) => new TextEncoder().encode(text).length
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((name) => !name.includes('\0') && bytes(name) <= 63)
    await fc.assert(
      fc.asyncProperty(names, async (name) => {
        const { fields } = await client.query(`select 1 as ${quoteIdent(name)}`)
        expect(fields[0]?.name).toBe(name)
      }),
      { numRuns: 200 },
    )
  })

  it('is refused when PostgreSQL could not hold it', () => {
    for (const name of ['', 'a\0b', 'x'.repeat(64), 'ü'.repeat(32)])
      expect(() => quoteIdent(name)).toThrow(TypeError)
  })
})
