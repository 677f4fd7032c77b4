import type pg from 'pg'

export type StepRow = {
  state: string
  output: Record<string, unknown> | null
  error: { code: string; message: string } | null
  answer_key: string | null
  cursor: Record<string, unknown> | null
  attempt: number
  warned: boolean
}

/** A step as it is stored. */
export async function stepRow(owner: pg.Pool, runId: string, key: string, mapIndex = 0): Promise<StepRow> {
  const { rows } = await owner.query<StepRow>(
    `select state, output, error, answer_key, cursor, attempt, warned from steps
     where run_id = $1 and key = $2 and map_index = $3`,
    [runId, key, mapIndex],
  )
  const [row] = rows
  if (!row) throw new Error(`there is no step ${key} ${mapIndex}`)
  return row
}
