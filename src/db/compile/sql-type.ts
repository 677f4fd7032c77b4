import type { ColumnType } from '#src/domain/column.ts'

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
