import type { ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'

/** A cast that may fail: what is true of the values that it can read, and among which rows. */
export type CheckedCast = {
  column: string
  type: ColumnType
  readable: string
  where: readonly string[]
  from: (relation: string) => string
}

export type Faults = {
  sql(relation: string): string
  params: string[]
  /** Names the columns at fault; undefined when no cast was. */
  judge(row: Readonly<Record<string, unknown>>): StepFailure | undefined
}

/** Finds out which cast failed, and for how many values, when one has: a statement that fails does not tell. */
export function faultsOf(casts: readonly CheckedCast[], params: string[]): Faults {
  // A parameter that nothing mentions has no type, which PostgreSQL refuses.
  const mentioned = params.map((_, i) => `$${i + 1}::text`)
  return {
    params,
    sql(relation) {
      const counts = casts.map(({ readable, where, from }, i) => {
        const rows = `select from ${from(relation)} where ${[...where, `not ${readable}`].join(' and ')}`
        return `(select count(*) from (${rows}) unreadable) as f${i}`
      })
      const unused = mentioned.length === 0 ? [] : [`array[${mentioned.join(', ')}] is null as mentioned`]
      return `select ${[...counts, ...unused, 'true as asked'].join(', ')}`
    },
    judge(row) {
      const bad = casts.flatMap(({ column, type }, i) => {
        const count = Number(row[`f${i}`] ?? 0)
        return count === 0 ? [] : [`${count} value${count === 1 ? '' : 's'} of column "${column}" cannot be read as ${type}`]
      })
      if (bad.length === 0) return undefined
      return new StepFailure('bad_cast', `${bad.join(', and ')}: try_cast makes them null.`)
    },
  }
}
