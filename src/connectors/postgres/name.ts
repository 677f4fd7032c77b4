import { StepFailure } from '#src/domain/failure.ts'

export type TableName = { schema: string; table: string }

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`
export const quoteTable = ({ schema, table }: TableName): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`

/** Also right where the server still takes backslashes in plain literals as escapes. */
export const quoteLiteral = (value: string): string =>
  value.includes('\\')
    ? ` E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${value.replaceAll("'", "''")}'`

/**
 * How a table is written in a definition: `schema.table`, or `table` in schema public. Names are taken as they are, upper
 * case included; one that holds a dot or a quote is written as in SQL, in quotes.
 */
export function formatTableName({ schema, table }: TableName): string {
  return [schema, table].map((part) => (/^[^".]+$/.test(part) ? part : quoteIdentifier(part))).join('.')
}

export function parseTableName(text: string): TableName {
  const part = '("(?:[^"]|"")+"|[^".]+)'
  const match = new RegExp(`^(?:${part}\\.)?${part}$`, 'u').exec(text)
  const table = match?.[2] && plain(match[2])
  const schema = match?.[1] ? plain(match[1]) : 'public'
  if (
    !table ||
    [schema, table].some((name) => name.includes('\0') || new TextEncoder().encode(name).length > 63)
  ) {
    throw new StepFailure('bad_table_name', `"${text}" is not the name of a table; write it as schema.table.`)
  }
  return { schema, table }
}

const plain = (part: string): string =>
  part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
