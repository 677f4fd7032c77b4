import { sqlTypes, type ColumnSpec, type ColumnType } from '#src/domain/column.ts'
import type { RelationColumn } from './relation.ts'

/** What is read as what; every other type is read as the text that the server writes it as. */
const columnTypeOf: Record<string, ColumnType> = {
  bool: 'boolean',
  int2: 'integer',
  int4: 'integer',
  int8: 'bigint',
  oid: 'bigint',
  float4: 'double',
  float8: 'double',
  numeric: 'decimal',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  json: 'json',
  jsonb: 'json',
}

export const columnSpecOf = (column: RelationColumn): ColumnSpec => ({
  name: column.name,
  type: columnTypeOf[column.builtin ?? ''] ?? 'text',
  nullable: !column.isNotNull,
})

/** What a SELECT casts a column to, so that its bytes are those that the reader decodes. */
export const readCastOf = {
  ...sqlTypes,
  // The text of a number of any length, and of a document, is what a batch holds.
  decimal: 'text',
  json: 'text',
} as const satisfies Record<ColumnType, string>

const texts = ['text', 'varchar', 'bpchar']

/**
 * The built-in types of a destination's column that take every value of a source's type unchanged or refuse it aloud;
 * none that would round it or cut it in silence. Enums, domains and extensions' types take text.
 */
const takenBy: Record<ColumnType, readonly string[]> = {
  boolean: ['bool'],
  integer: ['int4', 'int8', 'int2', 'numeric', 'float8'],
  bigint: ['int8', 'int4', 'int2', 'numeric'],
  double: ['float8'],
  decimal: ['numeric'],
  text: [...texts, 'uuid', 'inet', 'cidr', 'macaddr', 'xml'],
  date: ['date', 'timestamp'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  json: ['jsonb', 'json', ...texts],
}

export function isTaken(type: ColumnType, target: RelationColumn): boolean {
  return target.builtin === null ? type === 'text' : takenBy[type].includes(target.builtin)
}

/**
 * The cast from a staged value to the target's column. It leaves out length and precision: an explicit cast to varchar(3)
 * cuts in silence, the assignment to the column does not.
 */
export function loadCastOf(target: RelationColumn): string {
  return target.builtin === null ? target.sqlType : `pg_catalog.${target.builtin}`
}
