import { openLoad, type Load } from '#src/connectors/connectors.ts'
import { stepFailureOf, StepLost } from '#src/db/failure.ts'
import { checkpoint } from '#src/db/rows.ts'
import { pagesOf, tableOf, type DatasetVersion } from '#src/db/datasets.ts'
import { quoteIdent } from '#src/db/compile/quote.ts'
import { dropStageIfOver, dropStageLater } from '#src/db/outbox.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { connectionNamed } from '../connection.ts'
import { inputOf } from '../inputs.ts'
import { leaseMs } from '../lease.ts'
import { countTeller } from '../step-log.ts'
import type { StepOutcome, StepWork } from '../step.ts'

/** Pages of 8 KB in one chunk, one transaction of the destination: few enough that a chunk which arrives faster than it leaves fits in memory. */
const pagesAChunk = 512

/**
 * Copies a version to a destination chunk by chunk. The bytes of PostgreSQL's binary COPY pass through untouched: the
 * SELECT here casts to the destination's types. How far the load has got is kept in the destination itself.
 */
export async function executeLoad(work: StepWork<'load'>): Promise<StepOutcome> {
  const { definition, run, claimed, db } = work
  const { load } = definition
  const input = await inputOf(work, load.from)
  const connection = await connectionNamed(work, load.connection)
  const loadId = await loadIdOf(db.tenantId, run.id, claimed.key)
  const stage = { connectionId: connection.id, loadId, table: load.table }
  const destination = await openLoad(connection, {
    loadId,
    table: load.table,
    mode: load.mode,
    key: load.key,
    columns: input.columns,
  })
  const to = `${load.table} of connection "${connection.name}"`
  if (claimed.rowsOut > 0) work.log('info', `Goes on with ${to} after ${claimed.rowsOut} rows.`)
  else work.log('info', `Loads ${input.rows} rows of "${load.from}" into ${to}, ${load.mode}.`)
  try {
    const copied = await copy(work, destination, input)
    if (!copied) return { result: { state: 'ready', yielded: true } }
    const { rows } = await destination.finish()
    if (rows !== input.rows) {
      throw new StepFailure(
        'rows_differ',
        `Connection "${connection.name}" took ${rows} rows of ${input.rows} for ${load.table}.`,
      )
    }
    work.log('info', `Loaded ${rows} rows.`)
    return {
      statements: [dropStageLater(db.tenantId, stage)],
      result: { state: 'succeeded', rowsIn: input.rows, rowsOut: rows },
    }
  } catch (error) {
    // What others have finished meanwhile has been cleared away, perhaps before this attempt made its stage anew.
    const why = stepFailureOf(work.signal.aborted ? work.signal.reason : error, `step ${claimed.key}`)
    if (why instanceof StepLost)
      await db.statements([dropStageIfOver(db.tenantId, stage, run.id, claimed.key)])
    throw error
  } finally {
    await destination.close()
  }
}

async function copy(work: StepWork<'load'>, destination: Load, input: DatasetVersion): Promise<boolean> {
  const { db, run, claimed, budget, signal, progress, services, stepLog } = work
  const count = countTeller(services.now, work.log)
  const pages = await pagesOf(db, input.id)
  const columns = destination.columns.map(({ name, cast }) => `${quoteIdent(name)}::${cast}`).join(', ')
  const session = await db.bulk()
  try {
    for (;;) {
      const position = destination.position()
      if (position === 'finished') return true
      const from = position.chunk * pagesAChunk
      if (from >= pages) return true
      if (budget.isSpent()) return false
      signal.throwIfAborted()
      const select = `select ${columns} from ${tableOf(input.id)} where ctid >= '(${from},0)'::tid and ctid < '(${from + pagesAChunk},0)'::tid`
      await destination.copyChunk(position.chunk, session.copyOut(select, signal))
      const reached = destination.position()
      const rows = reached === 'finished' ? input.rows : reached.rows
      const cursor = { chunk: position.chunk + 1, rows }
      count(rows)
      const said = stepLog.pending()
      await session.transact(
        [...said.statements, checkpoint(run.id, claimed, cursor, rows, rows, leaseMs)],
        signal,
      )
      said.written()
      progress()
      budget.spend(2)
    }
  } finally {
    await session.close()
  }
}

/** The same for every attempt of this step in this run, and for nothing else. */
async function loadIdOf(...parts: string[]): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(parts.join(' ')))
  return Array.from(new Uint8Array(digest).slice(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  )
}
