import { StepFailure } from '#src/domain/failure.ts'

/** The step has gone to another delivery: whatever this one still does counts for nothing. */
export class StepLost extends Error {
  override readonly name = 'StepLost'
}

/** Somebody asked the run to stop. */
export class RunCancelled extends Error {
  override readonly name = 'RunCancelled'
}

/** The SQLSTATE of what the driver threw, through every wrapper; undefined when it was no answer of the server. */
export function sqlStateOf(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string' && /^[0-9A-Z]{5}$/.test(at.code)) return at.code
  }
  return undefined
}

/** Whether the database could not be asked at all, or may answer if asked again. */
export function isUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error)
  if (code) return /^(08|53|57P|40|XX000|55P03)/.test(code)
  if (!(error instanceof Error)) return false
  // Of TypeErrors only those of a request that never arrived: any other is a mistake of ours, and asking again mends none.
  if (error.name === 'TypeError') return error.message === 'fetch failed'
  return /NeonDbError|DrizzleQueryError|AbortError/.test(error.name)
}

const reasons: Record<string, string> = {
  '22003': 'a number is out of its type’s range',
  '22007': 'a value is no date or time',
  '22008': 'a date or time is out of range',
  '22012': 'a division by zero',
  '22021': 'text holds bytes that are not UTF-8',
  '22P02': 'a value cannot be read as the type it is cast to',
  '22P05': 'text holds a character that cannot be stored',
  '2201B': 'a pattern is no regular expression',
  '23505': 'a value that must be unique is there twice',
  '42601': 'the SQL cannot be parsed',
  '42703': 'the SQL names a column that is not there',
  '42803': 'a column must be in GROUP BY or in an aggregate',
  '42804': 'types do not fit together',
  '42883': 'a function or operator does not take these types',
  '42702': 'a column name is ambiguous',
  '42501': 'it may not touch what it names',
  '57014': 'it took longer than its time limit',
  '54000': 'it is larger than the database allows',
}

/** A database error inside a step, in our words: the server's own may hold the tenant's values. */
export function stepFailureOf(error: unknown, doing: string): unknown {
  const code = sqlStateOf(error)
  if (code === 'WE001') return new StepLost('the step went to another delivery', { cause: error })
  if (code === 'WE002') return new RunCancelled('the run is being cancelled', { cause: error })
  if (code === 'WE006')
    return new StepFailure(
      'too_many_items',
      `${doing}: with the items of this map the run would have more than 100,000, which is the most for all maps of a run; give it fewer, or start a run of another pipeline for each part.`,
    )
  if (error instanceof StepFailure || error instanceof StepLost || error instanceof RunCancelled) return error
  if (code === '57014') return new StepFailure('timeout', `${doing}: ${reasons[code]}.`, { cause: error })
  if (isUnavailable(error)) return error
  if (!code) return error
  const reason = reasons[code] ?? `the database refused it (${code})`
  return new StepFailure('sql_failed', `${doing}: ${reason}.`, { cause: error })
}
