import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Parameters } from '#src/domain/parameters.ts'
import { parameterNamed } from '#src/domain/pipeline-parameters.ts'
import { nearest } from '#src/domain/spelling.ts'
import type { Condition, Transform } from '#src/domain/transform.ts'
import { castable, castTo, tryCastTo } from './cast.ts'
import { faultOf, type CheckedCast, type Fault } from './faults.ts'
import { quoteIdent } from './quote.ts'
import { binder, type Bind, type Scalar } from './value.ts'

export type CompiledTransform = {
  sql(relation: string): string
  params: string[]
  columns: ColumnSpec[]
  /** Asked one after the other once a cast has failed, until one tells which it was. */
  faults: Fault[]
}

/** `computed` is an expression that can fail, so it must not be asked of rows that an earlier filter took away. */
type Projected = ColumnSpec & { expression: string; computed?: boolean }
/** `place` says where a row was written; it decides between equals, so that the same table always gives the same rows. */
type State = {
  columns: Projected[]
  where: string[]
  from: (relation: string) => string
  place: string
  casts: CheckedCast[]
}

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
  const bind = binder(params)
  const given = (value: Scalar): Scalar => resolved(value, parameters)
  let state: State = {
    columns: input.map((column) => ({ ...column, expression: quoteIdent(column.name) })),
    where: [],
    from: (relation) => relation,
    place: 'ctid',
    casts: [],
  }
  for (const operator of operators) state = apply(state, operator, bind, given)
  const columns = state.columns.map(({ name, type, nullable }) => ({ name, type, nullable }))
  if (columns.length === 0) throw new StepFailure('no_columns', 'The transform leaves no column.')
  refuseTwice(columns)
  const last = state
  return {
    params,
    columns,
    sql: (relation) => selectOf(last, relation),
    faults: last.casts.map((cast) => faultOf(cast, params)),
  }
}

function selectOf({ columns, where, from }: State, relation: string, more: string[] = []): string {
  const list = [...columns.map(({ name, expression }) => `${expression} as ${quoteIdent(name)}`), ...more]
  return `select ${list.join(', ')} from ${from(relation)}${where.length > 0 ? ` where ${where.join(' and ')}` : ''}`
}

type Given = (value: Scalar) => Scalar

function apply(state: State, operator: Transform, bind: Bind, given: Given): State {
  const { columns } = state
  switch (operator.op) {
    case 'select':
      return { ...state, columns: operator.with.map((name) => column(columns, name)) }
    case 'drop': {
      const gone = new Set(operator.with.map((name) => column(columns, name).name))
      return { ...state, columns: columns.filter(({ name }) => !gone.has(name)) }
    }
    case 'rename': {
      const to = new Map(
        Object.entries(operator.with).map(([from, name]) => [column(columns, from).name, name]),
      )
      return { ...state, columns: columns.map((one) => ({ ...one, name: to.get(one.name) ?? one.name })) }
    }
    case 'cast':
    case 'try_cast': {
      const to = new Map(
        Object.entries(operator.with).map(([name, type]) => [column(columns, name).name, type]),
      )
      const casts = operator.op === 'cast' ? checkedCasts(state, to) : []
      return {
        ...state,
        columns: columns.map((one) => converted(one, to.get(one.name), operator.op)),
        casts: [...state.casts, ...casts],
      }
    }
    case 'filter': {
      const tested = column(columns, operator.with.column)
      return {
        ...state,
        where: and(state.where, conditionOf(tested, operator.with, bind, given), tested.computed),
      }
    }
    case 'deduplicate': {
      const { by, orderBy, keep } = operator.with
      const direction = keep === 'first' ? 'asc' : 'desc'
      const first = orderBy ? [`${column(columns, orderBy).expression} ${direction} nulls last`] : []
      const order = [...first, `${state.place} ${direction}`].join(', ')
      const partition = by.map((name) => column(columns, name).expression).join(', ')
      const taken = columns.map(({ name }) => name)
      const number = quoteIdent(unlike('weir number', taken))
      const place = quoteIdent(unlike('weir place', taken))
      const added = [
        `row_number() over (partition by ${partition} order by ${order}) as ${number}`,
        `${state.place} as ${place}`,
      ]
      return {
        columns: columns.map(({ name, type, nullable }) => ({
          name,
          type,
          nullable,
          expression: quoteIdent(name),
        })),
        where: [`${number} = 1`],
        from: (relation) => `(${selectOf(state, relation, added)}) numbered`,
        place,
        casts: state.casts,
      }
    }
  }
}

/** PostgreSQL may ask the terms of AND in any order; CASE keeps theirs. */
function and(where: readonly string[], condition: string, computed: boolean | undefined): string[] {
  if (!computed || where.length === 0) return [...where, condition]
  return [`case when ${where.join(' and ')} then ${condition} else false end`]
}

function converted(from: Projected, to: ColumnType | undefined, op: 'cast' | 'try_cast'): Projected {
  if (to === undefined || to === from.type) return from
  const expression = op === 'cast' ? castTo(from, to) : tryCastTo(from, to)
  if (expression === undefined) {
    throw new StepFailure('no_cast', `Column "${from.name}" is ${from.type}, which cannot be cast to ${to}.`)
  }
  return { name: from.name, type: to, nullable: true, expression, computed: true }
}

/** What a cast that fails would have failed on: the rows that were left when it came. */
function checkedCasts({ columns, where, from }: State, to: ReadonlyMap<string, ColumnType>): CheckedCast[] {
  const failing = columns.flatMap((one) => {
    const type = to.get(one.name)
    const readable = type === undefined ? undefined : castable(one, type)
    return type === undefined || readable === undefined ? [] : [{ name: one.name, type, readable }]
  })
  return failing.length === 0 ? [] : [{ columns: failing, where, from }]
}

/** The name itself, or one like it that no column has. */
export function unlike(name: string, taken: readonly string[]): string {
  let free = name
  while (taken.includes(free)) free += ' '
  return free
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
    if (seen.has(name))
      throw new StepFailure('column_name', `The transform makes two columns named "${name}".`)
    seen.add(name)
  }
}

const comparisons = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function conditionOf(tested: Projected, test: Condition, bind: Bind, given: Given): string {
  const { expression } = tested
  const one = (value: Scalar) => bind.one(given(value), tested)
  if (test.is !== undefined) return `${expression} is ${test.is === 'null' ? 'null' : 'not null'}`
  if (test.in) return `${expression} = any (${bind.many(test.in.map(given), tested)})`
  if (test.between) return `${expression} between ${one(test.between[0])} and ${one(test.between[1])}`
  if (test.like !== undefined) return `(${expression})::text like ${bind.text(String(given(test.like)))}`
  for (const [name, operator] of Object.entries(comparisons)) {
    const value = test[name as keyof typeof comparisons]
    if (value !== undefined) return `${expression} ${operator} ${one(value)}`
  }
  return 'true'
}

/** A value that is nothing but a parameter stands for what the run was given. */
function resolved(value: Scalar, parameters: Parameters): Scalar {
  const name = parameterNamed(value)
  if (name === undefined) return value
  const given = parameters[name]
  if (given === undefined) throw new StepFailure('no_parameter', `There is no parameter "${name}".`)
  return given
}
