import type { ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'

/**
 * The wanted columns in the wanted order. A declared schema that a Parquet file contradicts is refused: its types are
 * in the file and are not guessed.
 */
export function chooseColumns<C extends { spec: ColumnSpec }>(
  file: string,
  all: C[],
  { columns, schema }: { columns?: string[]; schema?: ColumnSpec[] },
): C[] {
  const byName = new Map(all.map((column) => [column.spec.name, column]))
  for (const declared of schema ?? []) {
    const found = byName.get(declared.name)
    if (!found) throw unknownColumn(file, declared.name, [...byName.keys()])
    if (found.spec.type !== declared.type) {
      throw new StepFailure(
        'schema_mismatch',
        `The column "${declared.name}" of the file "${file}" is ${found.spec.type}, not ${declared.type}; cast it in a transform.`,
      )
    }
  }
  if (columns === undefined) return all
  const repeated = columns.find((name, i) => columns.indexOf(name) !== i)
  if (repeated !== undefined) {
    throw new StepFailure(
      'schema_mismatch',
      `The column "${repeated}" of the file "${file}" is asked for twice.`,
    )
  }
  return columns.map((name) => {
    const found = byName.get(name)
    if (!found) throw unknownColumn(file, name, [...byName.keys()])
    return found
  })
}

export function unknownColumn(file: string, name: string, known: string[]): StepFailure {
  const list = known.slice(0, 20).join(', ')
  return new StepFailure(
    'schema_mismatch',
    `The file "${file}" has no column "${name}"; it has ${list}${known.length > 20 ? ' and more' : ''}.`,
  )
}
