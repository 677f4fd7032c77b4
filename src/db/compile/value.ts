import { sqlTypes, type ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { isOf } from '#src/domain/parameters.ts'

export type Scalar = string | number | boolean

/** Collects the values of a statement; each stands in the text as `$n` with its type. */
export type Bind = {
  /** One value that a column is compared with. */
  one(value: Scalar, column: { name: string; type: ColumnType }): string
  /** Many of them as one array: a statement has room for 65,535 parameters only. */
  many(values: readonly Scalar[], column: { name: string; type: ColumnType }): string
  text(value: string): string
}

export function binder(params: string[]): Bind {
  const put = (value: string, type: string): string => {
    params.push(value)
    return `$${params.length}::${type}`
  }
  return {
    one: (value, column) => put(textOf(value, column), typeFor([value], column.type)),
    many: (values, column) =>
      put(arrayOf(values.map((value) => textOf(value, column))), `${typeFor(values, column.type)}[]`),
    text: (value) => put(value, 'text'),
  }
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$/
const whole = /^[+-]?\d{1,18}$/

/** A whole column may be compared with 1.5, or with what it could never hold; it is compared as numeric then. */
function typeFor(values: readonly Scalar[], type: ColumnType): string {
  const most = type === 'integer' ? 2_147_483_647 : Number.MAX_SAFE_INTEGER
  const fits = (value: Scalar) => whole.test(String(value)) && Math.abs(Number(value)) <= most
  if ((type === 'integer' || type === 'bigint') && !values.every(fits)) return 'numeric'
  if (type === 'date' && !values.every((value) => isOf('date', value))) return 'timestamp'
  return sqlTypes[type]
}

function textOf(value: Scalar, { name, type }: { name: string; type: ColumnType }): string {
  if (type === 'json') return JSON.stringify(value)
  const text = String(value)
  if (isReadable(text, type)) return text
  throw new StepFailure(
    'bad_value',
    `Column "${name}" is ${type}, and ${JSON.stringify(text.slice(0, 100))} cannot be read as that.`,
  )
}

function isReadable(text: string, type: Exclude<ColumnType, 'json'>): boolean {
  switch (type) {
    case 'boolean':
      return /^(true|false)$/i.test(text)
    case 'integer':
    case 'bigint':
      return number.test(text)
    case 'double':
    case 'decimal':
      return number.test(text) || /^(nan|-?infinity)$/i.test(text)
    case 'text':
      return !text.includes('\0')
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return isOf('date', text) || isOf('timestamp', text)
  }
}

const arrayOf = (values: readonly string[]): string =>
  `{${values.map((value) => `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`
