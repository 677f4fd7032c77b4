import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { compileRules } from '#src/db/compile/rules.ts'
import type { ColumnSpec } from '#src/domain/column.ts'
import { rule as ruleSchema, type Rule } from '#src/domain/rule.ts'

let client: pg.Client

beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('ownerUrl') })
  await client.connect()
  await client.query(`create temp table codes (n int8, code text, at date)`)
  await client.query(
    `insert into codes values (1, 'LAX', '2001-01-01'), (2, 'SFO', '2001-01-02'), (2, 'lax', null), (null, null, '2002-01-01'), (900, 'LAX', '2003-01-01')`,
  )
})
afterAll(() => client.end())

const columns: ColumnSpec[] = [
  { name: 'n', type: 'bigint', nullable: true },
  { name: 'code', type: 'text', nullable: true },
  { name: 'at', type: 'date', nullable: true },
]
const rule = (written: object): Rule => ruleSchema.parse(written)

async function measure(...rules: Rule[]) {
  const compiled = compileRules(rules, columns)
  const { rows } = await client.query(compiled.measure.sql('codes'), compiled.measure.params)
  return compiled.judge(rows[0])
}

async function kept(...rules: Rule[]) {
  const compiled = compileRules(rules, columns)
  const keep = compiled.keep(await measure(...rules))
  if (!keep) return undefined
  const { rows } = await client.query({
    text: `${keep.sql('codes')} order by 1, 2`,
    values: keep.params,
    rowMode: 'array',
  })
  return rows.map(([n, code]) => [n, code])
}

describe('a rule', () => {
  it.each([
    [{ rule: 'not_null', column: 'n' }, 5, 1],
    [{ rule: 'unique', column: 'n' }, 4, 1],
    [{ rule: 'unique', column: 'code' }, 4, 1],
    [{ rule: 'in_set', column: 'code', values: ['LAX', 'SFO'] }, 4, 1],
    [{ rule: 'between', column: 'n', min: 1, max: 100 }, 4, 1],
    [{ rule: 'between', column: 'at', min: '2001-01-02' }, 4, 1],
    [{ rule: 'between', column: 'at', max: '2001-12-31' }, 4, 2],
    [{ rule: 'matches', column: 'code', pattern: '^[A-Z]{3}$' }, 4, 1],
  ])('%j looks at %i values and fails %i', async (written, checked, failed) => {
    expect(await measure(rule(written))).toMatchObject([{ checked, failed, passed: false }])
  })

  it('leaves nulls out, but for not_null', async () => {
    const [result] = await measure(rule({ rule: 'in_set', column: 'code', values: ['LAX', 'SFO', 'lax'] }))
    expect(result).toMatchObject({ checked: 4, failed: 0, passed: true })
  })

  it('passes when mostly of the values that it looked at pass, at the very border too', async () => {
    const of = async (mostly: number) =>
      (await measure(rule({ rule: 'matches', column: 'code', pattern: '^[A-Z]{3}$', mostly })))[0]?.passed
    expect([await of(0.75), await of(0.76), await of(0.5)]).toEqual([true, false, true])
  })

  it('rejects nothing as long as mostly of the values pass, whatever another rule rejects', async () => {
    const tolerant = rule({
      rule: 'matches',
      column: 'code',
      pattern: '^[A-Z]{3}$',
      mostly: 0.75,
      onFail: 'reject',
    })
    expect(await kept(tolerant)).toBeUndefined()
    expect((await kept(tolerant, rule({ rule: 'not_null', column: 'at', onFail: 'reject' })))?.length).toBe(4)
  })

  it('keeps the first of equal values that no other rule rejects', async () => {
    const upper = rule({ rule: 'between', column: 'at', min: '2001-01-03', onFail: 'reject' })
    expect(await kept(rule({ rule: 'unique', column: 'n', onFail: 'reject' }), upper)).toEqual([
      ['2', 'lax'],
      ['900', 'LAX'],
      [null, null],
    ])
  })

  it('takes sets of ten thousand values, and values that a column could not hold', async () => {
    const values = Array.from({ length: 9_990 }, (_, i) => `x"${i}\\,{}`)
    const many = Array.from({ length: 20 }, () =>
      rule({ rule: 'in_set', column: 'code', values: [...values, 'LAX', 'SFO', 'lax'] }),
    )
    expect((await measure(...many)).every((result) => result.passed && result.checked === 4)).toBe(true)
    expect(await measure(rule({ rule: 'between', column: 'n', min: -1e300, max: 899.5 }))).toMatchObject([
      { checked: 4, failed: 1 },
    ])
    expect(
      await measure(rule({ rule: 'in_set', column: 'n', values: [1, 2, '99999999999999999999'] })),
    ).toMatchObject([{ failed: 1 }])
  })

  it('refuses a value that the column’s type cannot be compared with, naming both', () => {
    expect(() => compileRules([rule({ rule: 'between', column: 'at', min: 'soon' })], columns)).toThrow(
      /"at" is date, and "soon"/,
    )
    expect(() => compileRules([rule({ rule: 'in_set', column: 'n', values: ['x'] })], columns)).toThrow(
      /"n" is bigint/,
    )
  })

  it('counts rows', async () => {
    const of = async (bounds: object) => (await measure(rule({ rule: 'row_count', ...bounds })))[0]
    expect(await of({ min: 5, max: 5 })).toMatchObject({ checked: 5, passed: true })
    expect(await of({ min: 6 })).toMatchObject({
      passed: false,
      words: 'row_count found 5 rows, wanted at least 6',
    })
    expect(await of({ max: 4 })).toMatchObject({ passed: false })
  })

  it('takes away the rows that fail it and keeps the others, nulls among them', async () => {
    expect(
      await kept(rule({ rule: 'matches', column: 'code', pattern: '^[A-Z]{3}$', onFail: 'reject' })),
    ).toEqual([
      ['1', 'LAX'],
      ['2', 'SFO'],
      ['900', 'LAX'],
      [null, null],
    ])
    expect(
      await kept(
        rule({ rule: 'unique', column: 'n', onFail: 'reject' }),
        rule({ rule: 'between', column: 'n', max: 100, onFail: 'reject' }),
      ),
    ).toEqual([
      ['1', 'LAX'],
      ['2', 'SFO'],
      [null, null],
    ])
    expect(await kept(rule({ rule: 'not_null', column: 'at', onFail: 'warn' }))).toBeUndefined()
  })

  it('keeps as many rows as the measure says do not fail, for each rejecting rule', async () => {
    for (const written of [
      { rule: 'not_null', column: 'n' },
      { rule: 'unique', column: 'code' },
      { rule: 'in_set', column: 'n', values: [2] },
    ]) {
      const rejecting = rule({ ...written, onFail: 'reject' })
      const [result] = await measure(rejecting)
      expect((await kept(rejecting))?.length).toBe(5 - (result?.failed ?? 0))
    }
  })

  it('shares one scan of the table with all others', async () => {
    const rules = [
      { rule: 'not_null', column: 'n' },
      { rule: 'matches', column: 'code', pattern: 'x' },
      { rule: 'between', column: 'n', min: 1 },
      { rule: 'row_count', min: 1 },
    ].map(rule)
    const { measure: all } = compileRules(rules, columns)
    const { rows } = await client.query({
      text: `explain ${all.sql('codes')}`,
      values: all.params,
      rowMode: 'array',
    })
    expect(rows.flat().join('\n').match(/Scan/g)).toHaveLength(1)
  })

  it('names a column that is not there', () => {
    expect(() => compileRules([rule({ rule: 'unique', column: 'kode' })], columns)).toThrow(
      /did you mean "code"/,
    )
  })

  it('says in words what failed', async () => {
    expect((await measure(rule({ rule: 'not_null', column: 'n' })))[0]?.words).toBe(
      'not_null on n failed for 1 of 5 values',
    )
  })
})
