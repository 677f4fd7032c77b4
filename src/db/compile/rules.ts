import type { ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { nearest } from '#src/domain/spelling.ts'
import type { OnFail, Rule } from '#src/domain/rule.ts'
import { quoteIdent } from './quote.ts'
import { sqlTypes } from './transform.ts'

type Query = { sql(relation: string): string; params: string[] }

export type RuleResult = {
  rule: string
  column?: string
  onFail: OnFail
  checked: number
  failed: number
  passed: boolean
  /** What happened, for a failed run's message. */
  words: string
}

export type CompiledRules = {
  /** One row: how many values each rule looked at, and how many of them failed it. */
  measure: Query
  judge(row: Readonly<Record<string, unknown>>): RuleResult[]
  /** The rows that no rejecting rule takes away; undefined when no rule rejects. */
  keep: Query | undefined
}

/** The columns that stand for what cannot be said of one row alone: how often its value was there before it. */
type Numbered = { name: string; over: string }

/**
 * Rules as one scan: every rule is two filtered counts in the same SELECT. Nulls are left out of every rule but not_null.
 * Uniqueness looks across rows, so it numbers equal values first, in the order in which the rows are stored.
 */
export function compileRules(rules: readonly Rule[], columns: readonly ColumnSpec[]): CompiledRules {
  const measureParams: string[] = []
  const numbered: Numbered[] = []
  const compiled = rules.map((rule) => compileRule(rule, columns, numbered, binder(measureParams)))
  const counts = compiled.flatMap(({ looksAt, fails }, i) => [
    `count(*) filter (where ${looksAt}) as c${i}`,
    `count(*) filter (where ${fails}) as f${i}`,
  ])
  const rejecting = rules.filter((rule) => rule.onFail === 'reject')
  return {
    measure: {
      sql: (relation) => `select ${counts.join(', ')} from ${numberedFrom(relation, numbered)}`,
      params: measureParams,
    },
    judge: (row) => rules.map((rule, i) => judgeOne(rule, Number(row[`c${i}`] ?? 0), Number(row[`f${i}`] ?? 0))),
    keep: rejecting.length === 0 ? undefined : keepOf(rejecting, columns),
  }
}

function keepOf(rules: readonly Rule[], columns: readonly ColumnSpec[]): Query {
  const params: string[] = []
  const numbered: Numbered[] = []
  const fails = rules.map((rule) => compileRule(rule, columns, numbered, binder(params)).fails)
  const names = columns.map(({ name }) => quoteIdent(name)).join(', ')
  return {
    sql: (relation) =>
      `select ${names} from ${numberedFrom(relation, numbered)} where ${fails.map((fail) => `(${fail}) is not true`).join(' and ')}`,
    params,
  }
}

const numberedFrom = (relation: string, numbered: readonly Numbered[]): string =>
  numbered.length === 0
    ? relation
    : `(select *, ${numbered.map(({ name, over }) => `row_number() over (${over}) as "${name}"`).join(', ')} from ${relation}) numbered`

type Bind = (value: string | number | boolean, type: string) => string
const binder =
  (params: string[]): Bind =>
  (value, type) => {
    params.push(String(value))
    return `$${params.length}::${type}`
  }

function compileRule(rule: Rule, columns: readonly ColumnSpec[], numbered: Numbered[], bind: Bind): { looksAt: string; fails: string } {
  if (rule.rule === 'row_count') return { looksAt: 'true', fails: 'false' }
  const { name, type } = columnOf(rule.column, columns)
  const value = quoteIdent(name)
  const as = sqlTypes[type]
  const present = `${value} is not null`
  switch (rule.rule) {
    case 'not_null':
      return { looksAt: 'true', fails: `${value} is null` }
    case 'unique': {
      const number = `weir ${numbered.length}`
      numbered.push({ name: number, over: `partition by ${value} order by ctid` })
      return { looksAt: present, fails: `${present} and "${number}" > 1` }
    }
    case 'in_set':
      return { looksAt: present, fails: `${value} not in (${rule.values.map((one) => bind(one, as)).join(', ')})` }
    case 'between': {
      const below = rule.min === undefined ? [] : [`${value} < ${bind(rule.min, as)}`]
      const above = rule.max === undefined ? [] : [`${value} > ${bind(rule.max, as)}`]
      return { looksAt: present, fails: [...below, ...above].join(' or ') }
    }
    case 'matches':
      return { looksAt: present, fails: `(${value})::text !~ ${bind(rule.pattern, 'text')}` }
  }
}

function columnOf(name: string, columns: readonly ColumnSpec[]): ColumnSpec {
  const found = columns.find((column) => column.name === name)
  if (found) return found
  const hint = nearest(name, columns.map((column) => column.name))
  throw new StepFailure('no_column', `A rule names column "${name}", which is not there${hint ? `: did you mean "${hint}"?` : '.'}`)
}

function judgeOne(rule: Rule, checked: number, failed: number): RuleResult {
  if (rule.rule === 'row_count') {
    const passed = checked >= (rule.min ?? 0) && checked <= (rule.max ?? Infinity)
    const wanted = [rule.min === undefined ? '' : `at least ${rule.min}`, rule.max === undefined ? '' : `at most ${rule.max}`]
    const words = `row_count found ${checked} rows, wanted ${wanted.filter(Boolean).join(' and ')}`
    return { rule: rule.rule, onFail: rule.onFail, checked, failed: passed ? 0 : 1, passed, words }
  }
  // A fraction such as 0.999 is no binary number; a row more or less must not hang on that.
  const passed = failed === 0 || checked - failed >= checked * rule.mostly - 1e-9 * checked
  const words = `${rule.rule} on ${rule.column} failed for ${failed} of ${checked} values`
  return { rule: rule.rule, column: rule.column, onFail: rule.onFail, checked, failed, passed, words }
}
