import type { ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'

/** One operator's casts that may fail: what is true of the values that each can read, and among which rows. */
export type CheckedCast = {
  columns: readonly { name: string; type: ColumnType; readable: string }[]
  where: readonly string[]
  from: (relation: string) => string
}

export type Fault = {
  sql(relation: string): string
  params: string[]
  /** Names the columns at fault; undefined when none is. */
  judge(row: Readonly<Record<string, unknown>>): StepFailure | undefined
}

/**
 * Finds out how many values an operator's casts cannot read, after one has failed: the statement that fails does not tell.
 * What comes before it must be without fault, for its filters are asked here again.
 */
export function faultOf({ columns, where, from }: CheckedCast, params: string[]): Fault {
  // A parameter that nothing mentions has no type, which PostgreSQL refuses.
  const mentioned =
    params.length === 0 ? [] : [`array[${params.map((_, i) => `$${i + 1}::text`).join(', ')}] as mentioned`]
  const counts = columns.map(({ readable }, i) => `count(*) filter (where not ${readable}) as f${i}`)
  return {
    params,
    sql(relation) {
      const rows = where.length === 0 ? '' : ` where ${where.join(' and ')}`
      return `select ${[...counts, ...mentioned].join(', ')} from ${from(relation)}${rows}`
    },
    judge(row) {
      const bad = columns.flatMap(({ name, type }, i) => {
        const count = Number(row[`f${i}`] ?? 0)
        return count === 0
          ? []
          : [`${count} value${count === 1 ? '' : 's'} of column "${name}" cannot be read as ${type}`]
      })
      return bad.length === 0
        ? undefined
        : new StepFailure('bad_cast', `${bad.join(', and ')}; try_cast makes them null.`)
    },
  }
}
