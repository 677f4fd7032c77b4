import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Parameters } from '#src/domain/parameters.ts'
import { nearest } from '#src/domain/spelling.ts'
import type { Condition, Transform } from '#src/domain/transform.ts'
import { quoteIdent } from './quote.ts'

/** The SQL type of each column type; the same table as app.sql_type. */
export const sqlTypes: Record<ColumnType, string> = {
  boolean: 'boolean',
  integer: 'int4',
  bigint: 'int8',
  double: 'float8',
  decimal: 'numeric',
  text: 'text',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  json: 'jsonb',
}

export type CompiledTransform = { sql(relation: string): string; params: string[]; columns: ColumnSpec[] }

type Projected = ColumnSpec & { expression: string }
type State = { columns: Projected[]; where: string[]; from: (relation: string) => string; isTable: boolean }

/**
 * Operators in their order, as one SELECT over a table: filters and expressions share one pass, and only deduplicate
 * needs a pass of its own. Values are parameters, names are quoted.
 */
export function compileTransform(
  operators: readonly Transform[],
  input: readonly ColumnSpec[],
  parameters: Parameters,
): CompiledTransform {
  const params: string[] = []
  const bind = (value: string | number | boolean, type: string): string => {
    params.push(String(resolved(value, parameters)))
    return `$${params.length}::${type}`
  }
  let state: State = {
    columns: input.map((column) => ({ ...column, expression: quoteIdent(column.name) })),
    where: [],
    from: (relation) => relation,
    isTable: true,
  }
  for (const operator of operators) state = apply(state, operator, bind)
  const columns = state.columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
  if (columns.length === 0) throw new StepFailure('no_columns', 'The transform leaves no column.')
  refuseTwice(columns)
  const last = state
  return { params, columns, sql: (relation) => selectOf(last, relation) }
}

function selectOf({ columns, where, from }: State, relation: string, more: string[] = []): string {
  const list = [...columns.map(({ name, expression }) => `${expression} as ${quoteIdent(name)}`), ...more]
  return `select ${list.join(', ')} from ${from(relation)}${where.length > 0 ? ` where ${where.join(' and ')}` : ''}`
}

type Bind = (value: string | number | boolean, type: string) => string

function apply(state: State, operator: Transform, bind: Bind): State {
  const { columns } = state
  switch (operator.op) {
    case 'select':
      return { ...state, columns: operator.with.map((name) => column(columns, name)) }
    case 'drop': {
      const gone = new Set(operator.with.map((name) => column(columns, name).name))
      return { ...state, columns: columns.filter(({ name }) => !gone.has(name)) }
    }
    case 'rename': {
      const to = new Map(Object.entries(operator.with).map(([from, name]) => [column(columns, from).name, name]))
      return { ...state, columns: columns.map((one) => ({ ...one, name: to.get(one.name) ?? one.name })) }
    }
    case 'cast':
    case 'try_cast': {
      const to = new Map(Object.entries(operator.with).map(([name, type]) => [column(columns, name).name, type]))
      const cast = operator.op === 'cast' ? castOf : tryCastOf
      return {
        ...state,
        columns: columns.map((one) => {
          const type = to.get(one.name)
          return type === undefined ? one : { ...one, type, expression: cast(one, type) }
        }),
      }
    }
    case 'filter':
      return { ...state, where: [...state.where, conditionOf(column(columns, operator.with.column), operator.with, bind)] }
    case 'deduplicate': {
      const { by, orderBy, keep } = operator.with
      const direction = keep === 'first' ? 'asc' : 'desc'
      const order = [
        ...(orderBy ? [`${column(columns, orderBy).expression} ${direction} nulls last`] : []),
        // Where it is written decides between equals, so that the same table always gives the same rows.
        ...(state.isTable ? [`ctid ${direction}`] : []),
      ]
      const partition = by.map((name) => column(columns, name).expression).join(', ')
      const number = `row_number() over (partition by ${partition}${order.length > 0 ? ` order by ${order.join(', ')}` : ''}) as "weir number"`
      return {
        columns: columns.map((one) => ({ ...one, expression: quoteIdent(one.name) })),
        where: [`"weir number" = 1`],
        from: (relation) => `(${selectOf(state, relation, [number])}) numbered`,
        isTable: false,
      }
    }
  }
}

function column(columns: readonly Projected[], name: string): Projected {
  const found = columns.find((one) => one.name === name)
  if (found) return found
  const names = columns.map((one) => one.name)
  const hint = nearest(name, names)
  throw new StepFailure(
    'no_column',
    `There is no column "${name}"${hint ? `: did you mean "${hint}"?` : ''} Here are ${names.slice(0, 40).join(', ')}.`,
  )
}

function refuseTwice(columns: readonly ColumnSpec[]): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    if (seen.has(name)) throw new StepFailure('column_name', `The transform makes two columns named "${name}".`)
    seen.add(name)
  }
}

const castOf = ({ expression, type }: Projected, to: ColumnType): string =>
  type === to ? expression : `(${expression})::${sqlTypes[to]}`

/** Only text can fail to be read as something else in a way that the server can be asked about first. */
function tryCastOf(from: Projected, to: ColumnType): string {
  if (from.type !== 'text') return castOf(from, to)
  const { expression } = from
  return `case when pg_input_is_valid(${expression}, '${sqlTypes[to]}') then (${expression})::${sqlTypes[to]} end`
}

const comparisons = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function conditionOf({ expression, type }: Projected, test: Condition, bind: Bind): string {
  const as = sqlTypes[type]
  if (test.is !== undefined) return `${expression} is ${test.is === 'null' ? 'null' : 'not null'}`
  if (test.in) return `${expression} in (${test.in.map((value) => bind(value, as)).join(', ')})`
  if (test.between) return `${expression} between ${bind(test.between[0], as)} and ${bind(test.between[1], as)}`
  if (test.like !== undefined) return `(${expression})::text like ${bind(test.like, 'text')}`
  for (const [name, operator] of Object.entries(comparisons)) {
    const value = test[name as keyof typeof comparisons]
    if (value !== undefined) return `${expression} ${operator} ${bind(value, as)}`
  }
  return 'true'
}

/** A value that is nothing but a parameter stands for what the run was given. */
function resolved(value: string | number | boolean, parameters: Parameters): string | number | boolean {
  const name = typeof value === 'string' ? /^\$\{params\.([a-z][a-z0-9_]*)\}$/.exec(value)?.[1] : undefined
  if (name === undefined) return value
  const given = parameters[name]
  if (given === undefined) throw new StepFailure('no_parameter', `There is no parameter "${name}".`)
  return given
}
