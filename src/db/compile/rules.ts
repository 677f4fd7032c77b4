import type { ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { nearest } from '#src/domain/spelling.ts'
import type { OnFail, Rule } from '#src/domain/rule.ts'
import { quoteIdent } from './quote.ts'
import { unlike } from './transform.ts'
import { binder, type Bind } from './value.ts'

type Query = { sql(relation: string): string; params: string[] }

type RuleResult = {
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
  /** The rows that stay when the rejecting rules among the broken ones take theirs away; undefined when none does. */
  keep(results: readonly RuleResult[]): Query | undefined
}

/**
 * Rules as one scan: every rule is two counts in the same SELECT. Nulls are left out of every rule but not_null.
 * Patterns are PostgreSQL's regular expressions and run there, under a time limit.
 */
export function compileRules(rules: readonly Rule[], columns: readonly ColumnSpec[]): CompiledRules {
  const params: string[] = []
  const bind = binder(params)
  const counts = rules.flatMap((rule, i) => {
    const { checked, failed } = countsOf(rule, columns, bind)
    return [`${checked} as c${i}`, `${failed} as f${i}`]
  })
  return {
    measure: { sql: (relation) => `select ${counts.join(', ')} from ${relation}`, params },
    judge: (row) =>
      rules.map((rule, i) => judgeOne(rule, Number(row[`c${i}`] ?? 0), Number(row[`f${i}`] ?? 0))),
    keep: (results) => {
      const rejecting = rules.filter((rule, i) => rule.onFail === 'reject' && results[i]?.passed === false)
      return rejecting.length === 0 ? undefined : keepOf(rejecting, columns)
    },
  }
}

function countsOf(
  rule: Rule,
  columns: readonly ColumnSpec[],
  bind: Bind,
): { checked: string; failed: string } {
  if (rule.rule === 'row_count') return { checked: 'count(*)', failed: '0' }
  const column = columnOf(rule.column, columns)
  const value = quoteIdent(column.name)
  if (rule.rule === 'not_null') return { checked: 'count(*)', failed: `count(*) - count(${value})` }
  if (rule.rule === 'unique') {
    // Equal is equal in every collation, and sorting by bytes is the fastest.
    const distinct = column.type === 'text' ? `${value} collate "C"` : value
    return { checked: `count(${value})`, failed: `count(${value}) - count(distinct ${distinct})` }
  }
  return { checked: `count(${value})`, failed: `count(*) filter (where ${failsOf(rule, column, bind)})` }
}

/** What is true of a row that fails the rule, and never true of a null but for not_null. */
function failsOf(
  rule: Exclude<Rule, { rule: 'row_count' | 'unique' }>,
  column: ColumnSpec,
  bind: Bind,
): string {
  const value = quoteIdent(column.name)
  switch (rule.rule) {
    case 'not_null':
      return `${value} is null`
    case 'in_set':
      return `${value} <> all (${bind.many(rule.values, column)})`
    case 'between': {
      const below = rule.min === undefined ? [] : [`${value} < ${bind.one(rule.min, column)}`]
      const above = rule.max === undefined ? [] : [`${value} > ${bind.one(rule.max, column)}`]
      return [...below, ...above].join(' or ')
    }
    case 'matches':
      return `(${value})::text !~ ${bind.text(rule.pattern)}`
  }
}

/** Of equal values the one that was written first stays, among those that no other rule rejects. */
function keepOf(rules: readonly Rule[], columns: readonly ColumnSpec[]): Query {
  const params: string[] = []
  const bind = binder(params)
  const names = columns.map(({ name }) => quoteIdent(name)).join(', ')
  const stays: string[] = []
  const unique: string[] = []
  for (const rule of rules) {
    if (rule.rule === 'row_count') continue
    const column = columnOf(rule.column, columns)
    if (rule.rule === 'unique') unique.push(column.name)
    else stays.push(`(${failsOf(rule, column, bind)}) is not true`)
  }
  const where = stays.length === 0 ? '' : ` where ${stays.join(' and ')}`
  if (unique.length === 0) return { params, sql: (relation) => `select ${names} from ${relation}${where}` }
  const taken = columns.map(({ name }) => name)
  const numbers = unique.map((name, i) => ({
    value: quoteIdent(name),
    number: quoteIdent(unlike(`weir ${i}`, taken)),
  }))
  const numbered = numbers.map(
    ({ value, number }) => `row_number() over (partition by ${value} order by ctid) as ${number}`,
  )
  const first = numbers.map(({ value, number }) => `(${number} = 1 or ${value} is null)`)
  return {
    params,
    sql: (relation) =>
      `select ${names} from (select ${names}, ${numbered.join(', ')} from ${relation}${where}) numbered where ${first.join(' and ')}`,
  }
}

function columnOf(name: string, columns: readonly ColumnSpec[]): ColumnSpec {
  const found = columns.find((column) => column.name === name)
  if (found) return found
  const hint = nearest(
    name,
    columns.map((column) => column.name),
  )
  throw new StepFailure(
    'no_column',
    `A rule names column "${name}", which is not there${hint ? `: did you mean "${hint}"?` : '.'}`,
  )
}

function judgeOne(rule: Rule, checked: number, failed: number): RuleResult {
  if (rule.rule === 'row_count') {
    const passed = checked >= (rule.min ?? 0) && checked <= (rule.max ?? Infinity)
    const wanted = [
      rule.min === undefined ? '' : `at least ${rule.min}`,
      rule.max === undefined ? '' : `at most ${rule.max}`,
    ]
    const words = `row_count found ${checked} rows, wanted ${wanted.filter(Boolean).join(' and ')}`
    return { rule: rule.rule, onFail: rule.onFail, checked, failed: passed ? 0 : 1, passed, words }
  }
  // A fraction such as 0.999 is no binary number; a row more or less must not hang on that.
  const passed = failed === 0 || checked - failed >= checked * rule.mostly - 1e-9 * checked
  const words = `${rule.rule} on ${rule.column} failed for ${failed} of ${checked} values`
  return { rule: rule.rule, column: rule.column, onFail: rule.onFail, checked, failed, passed, words }
}
