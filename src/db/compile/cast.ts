import { sqlTypes, type ColumnType } from '#src/domain/column.ts'

type Cast = { expression: string; type: ColumnType }

const numbers = new Set<ColumnType>(['integer', 'bigint', 'double', 'decimal'])
const times = new Set<ColumnType>(['date', 'timestamp', 'timestamptz'])

/** An expression of another type; undefined where nothing sensible could come of it. Times without a zone are UTC. */
export function castTo({ expression, type }: Cast, to: ColumnType): string | undefined {
  const as = sqlTypes[to]
  if (type === to) return expression
  if (type === 'json') return to === 'text' ? `(${expression} #>> '{}')` : `(${expression} #>> '{}')::${as}`
  if (to === 'json') return type === 'text' ? `(${expression})::jsonb` : `to_jsonb(${expression})`
  if (to === 'text' || type === 'text') return `(${expression})::${as}`
  if (numbers.has(type) && numbers.has(to)) return `(${expression})::${as}`
  if (type === 'boolean' && numbers.has(to)) return `(${expression})::int4::${as}`
  if (numbers.has(type) && to === 'boolean') return `(${expression} <> 0)`
  if (!times.has(type) || !times.has(to)) return undefined
  if (type === 'timestamptz') return `(${expression} at time zone 'UTC')::${as}`
  return to === 'timestamptz' ? `((${expression})::timestamp at time zone 'UTC')` : `(${expression})::${as}`
}

/** The same, but null where a value cannot be read as the other type. */
export function tryCastTo(from: Cast, to: ColumnType): string | undefined {
  const cast = castTo(from, to)
  const possible = castable(from, to)
  return cast === undefined || possible === undefined ? cast : `case when ${possible} then ${cast} end`
}

/** Asks of a value whether its cast succeeds; undefined when it always does. Null for null. */
export function castable({ expression, type }: Cast, to: ColumnType): string | undefined {
  if (type === to) return undefined
  const as = sqlTypes[to]
  if (type === 'text') return `pg_input_is_valid(${expression}, '${as}')`
  if (type === 'json') return to === 'text' ? undefined : `pg_input_is_valid(${expression} #>> '{}', '${as}')`
  if (to === 'integer' && numbers.has(type))
    return `(${expression} > -2147483648.5 and ${expression} < 2147483647.5)`
  if (to === 'bigint' && type === 'double')
    return `(${expression} >= -9223372036854775808 and ${expression} < 9223372036854775808)`
  if (to === 'bigint' && type === 'decimal')
    return `(${expression} > -9223372036854775808.5 and ${expression} < 9223372036854775807.5)`
  if (to === 'double' && type === 'decimal') return `pg_input_is_valid((${expression})::text, '${as}')`
  if (type === 'date' && (to === 'timestamp' || to === 'timestamptz'))
    return `pg_input_is_valid((${expression})::text, 'timestamp')`
  return undefined
}
