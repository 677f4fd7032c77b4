/**
 * Rows in motion are columns: one typed array a column, so that a batch of a hundred thousand rows is a handful of
 * objects. Every reader makes batches, every writer takes them.
 */
export const columnTypes = [
  'boolean',
  'integer',
  'bigint',
  'double',
  'decimal',
  'text',
  'date',
  'timestamp',
  'timestamptz',
  'json',
] as const
export type ColumnType = (typeof columnTypes)[number]

/** The types of PostgreSQL that hold them; the same table as app.sql_type. */
export const sqlTypes = {
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
} as const satisfies Record<ColumnType, string>

export type ColumnSpec = { name: string; type: ColumnType; nullable: boolean }

/**
 * What holds the values of each type. Where a value is null its slot holds 0 or '' and `nulls` says so.
 * date: days since 1970-01-01 · timestamp, timestamptz: microseconds since 1970-01-01T00:00Z ·
 * decimal and json: their text.
 */
export type ColumnValues = {
  boolean: Uint8Array
  integer: Int32Array
  bigint: BigInt64Array
  double: Float64Array
  decimal: string[]
  text: string[]
  date: Int32Array
  timestamp: BigInt64Array
  timestamptz: BigInt64Array
  json: string[]
}

export type Column = {
  [T in ColumnType]: { name: string; type: T; values: ColumnValues[T]; nulls?: Uint8Array }
}[ColumnType]

/** `nulls[i]` is 1 where row i is null; a column without any null has no `nulls`. All columns hold `rows` values. */
export type Batch = { rows: number; columns: Column[] }
