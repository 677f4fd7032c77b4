import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'

/** PostgreSQL type OIDs (pg_type.dat) and the column type that holds their values. */
const typeOf: Record<number, ColumnType> = {
  16: 'boolean',
  20: 'bigint',
  21: 'integer',
  23: 'integer',
  25: 'text',
  114: 'json',
  700: 'double',
  701: 'double',
  1042: 'text',
  1043: 'text',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamptz',
  1700: 'decimal',
  3802: 'json',
}
const sqlCast: Partial<Record<number, string>> = {
  21: '::int4',
  114: '::jsonb',
  700: '::float8',
  1042: '::text',
  1043: '::text',
}

/** The columns of a query's result; a type that datasets do not have becomes text. */
export function columnsOfFields(
  fields: readonly { name: string; dataTypeID: number }[],
): { column: ColumnSpec; cast: string }[] {
  const seen = new Set<string>()
  return fields.map(({ name, dataTypeID }) => {
    if (name === '?column?' || seen.has(name)) {
      throw new StepFailure(
        'column_name',
        `Two columns are named "${name}", or one has no name: give each its own with AS.`,
      )
    }
    seen.add(name)
    const type = typeOf[dataTypeID]
    return {
      column: { name, type: type ?? 'text', nullable: true },
      cast: type ? (sqlCast[dataTypeID] ?? '') : '::text',
    }
  })
}
