import { creation, pagesOf, publication, type DatasetVersion } from '#src/db/datasets.ts'
import { firstPlace, readJson, type JsonLimits, type JsonPiece } from '#src/db/json-rows.ts'
import { checkpoint, rowsInsert } from '#src/db/rows.ts'
import type { BulkSession } from '#src/db/bulk-session.ts'
import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { newId, type DatasetVersionId } from '#src/domain/id.ts'
import { ScriptFailure, storable } from '#src/sandbox/failure.ts'
import type { Sandbox } from '#src/sandbox/sandbox.ts'
import { inputOf } from '../inputs.ts'
import { leaseMs } from '../lease.ts'
import { mostCells, scriptBatch } from '../script-rows.ts'
import type { StepOutcome, Work } from '../step.ts'

type ScriptWork = Work & {
  definition: {
    script: {
      from: string
      code: string
      memoryMb: number
      timeoutMs: number
      columns: readonly { name: string; type: ColumnType }[]
    }
    into: string
  }
}

/** What is committed with every batch: what is read and what is filled, how far, and what the script has logged. */
type Place = {
  input: DatasetVersion
  versionId: DatasetVersionId
  next: string
  rows: number
  /** The time that the script is told, in every delivery the same. */
  nowMs: number
  logs: string
}

/** Longer than this a batch would outlive the step's lease, for nothing else runs beside it. */
const mostCpuMs = 20_000
const mostLogged = 64 * 1024
/** Characters of one batch, and of one row; what a script makes of them has the same room four times over. */
const batchText = 1024 * 1024
const rowText = 4 * 1024 * 1024

/**
 * A script: a JavaScript module whose default export is a function of a batch of rows, in order, and of a context, that
 * gives the rows of the new dataset:
 *
 *     export default (rows, { params, outputs }) => rows.map(({ id, name }) => ({ id, name: name.trim() }))
 *
 * A row is a mapping of its columns. Numbers that a double cannot hold come as their digits; dates and times are text, like
 * 2024-02-29T12:00:00Z. What is missing in a row that it gives is null; a key that is no declared column is an error. Each
 * batch meets the script anew, so it cannot count across batches; `context.first` is the number of the batch's first row.
 * The clock stands still and Math.random has a seed, so that a batch that is done again comes out the same.
 */
export async function executeScript(work: ScriptWork): Promise<StepOutcome> {
  const { definition, claimed, services } = work
  const { script } = definition
  const columns = script.columns.map(({ name, type }): ColumnSpec => ({ name, type, nullable: true }))
  const place = (claimed.cursor as Place | null) ?? (await begin(work, columns))
  const output = () => (place.logs === '' ? {} : { output: { logs: place.logs } })
  try {
    const cpuMs = Math.min(script.timeoutMs, mostCpuMs)
    const sandbox = await services.sandbox({ code: script.code, memoryMb: script.memoryMb, cpuMs })
    const finished = await fill(work, sandbox, columns, place, cpuMs)
    if (!finished) return { result: { state: 'ready', yielded: true } }
    return {
      statements: [publication(place.versionId, place.rows)],
      result: { state: 'succeeded', rowsIn: claimed.rowsIn, rowsOut: place.rows, cursor: null, ...output() },
    }
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error
    if (error instanceof ScriptFailure) keep(work, place, error.logs)
    const { code, message } = error
    work.log('error', message)
    return {
      result: {
        state: 'failed',
        rowsIn: claimed.rowsIn,
        rowsOut: place.rows,
        error: { code, message },
        ...output(),
      },
    }
  }
}

async function begin(work: ScriptWork, columns: readonly ColumnSpec[]): Promise<Place> {
  const { db, run, claimed, definition, services } = work
  const input = await inputOf(work, definition.script.from)
  const versionId = newId('datasetVersion', services.now())
  const place: Place = {
    input,
    versionId,
    next: firstPlace,
    rows: 0,
    nowMs: services.now().getTime(),
    logs: '',
  }
  claimed.rowsIn = 0
  const { text, params } = checkpoint(run.id, claimed, place, 0, 0, leaseMs)
  await db.statements([creation(versionId, definition.into, run.id, claimed.key, columns), { text, params }])
  return place
}

/** The next rows are read while the database stores those before them. Returns false when the budget is spent first. */
async function fill(
  work: ScriptWork,
  sandbox: Sandbox,
  columns: readonly ColumnSpec[],
  place: Place,
  cpuMs: number,
): Promise<boolean> {
  const { db, run, claimed, budget, signal, progress, stepLog } = work
  const pages = await pagesOf(db, place.input.id)
  const limits: JsonLimits = {
    rows: Math.ceil(mostCells / 4 / columns.length),
    text: batchText,
    row: rowText,
  }
  const insert = rowsInsert(place.versionId, columns)
  const session = await db.bulk()
  let storing: Promise<unknown> = Promise.resolve()
  try {
    for (;;) {
      const reading = pieceAfter(session, place, pages, limits, signal)
      const [piece] = await Promise.all([reading, storing])
      if (!piece) return true
      const { rows, logs } = sandbox.apply(batchOf(work, place, piece))
      keep(work, place, logs)
      const batch = scriptBatch(rows, columns)
      signal.throwIfAborted()
      claimed.rowsIn += piece.rows
      place.rows += batch.rows
      place.next = piece.next
      const stored = checkpoint(run.id, claimed, place, claimed.rowsIn, place.rows, leaseMs)
      const said = stepLog.pending()
      storing = session
        .transact([...(batch.rows > 0 ? [insert(batch)] : []), ...said.statements, stored], signal)
        .then(said.written)
      storing.then(progress, () => undefined)
      budget.spend(2)
      if (budget.isSpent() || sandbox.usedMs() >= cpuMs) {
        await storing
        return false
      }
    }
  } finally {
    await session.close()
  }
}

/** What a script has logged stands in the run's log, and is the step's output. */
function keep({ log }: ScriptWork, place: Place, logs: string): void {
  const kept = storable(logs, mostLogged - place.logs.length)
  place.logs += kept
  for (const line of kept.split('\n')) if (line !== '') log('info', line)
}

async function pieceAfter(
  session: BulkSession,
  place: Place,
  pages: number,
  limits: JsonLimits,
  signal: AbortSignal,
): Promise<JsonPiece | undefined> {
  const piece = await readJson(session, place.input, place.next, pages, limits, signal)
  if (piece !== 'row too large') return piece
  throw new StepFailure(
    'row_too_large',
    `Dataset "${place.input.name}" has a row of more than ${rowText / 1024 / 1024} MB, which no script can be given.`,
  )
}

function batchOf({ run, claimed }: ScriptWork, place: Place, piece: JsonPiece) {
  const first = claimed.rowsIn + 1
  const context = { params: run.parameters, outputs: claimed.outputs ?? {}, first }
  return { rows: piece.text, context: JSON.stringify(context), now: place.nowMs, seed: first }
}
