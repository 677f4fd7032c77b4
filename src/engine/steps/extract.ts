import { openReader } from '#src/connectors/connectors.ts'
import type { Reader, ReadState } from '#src/connectors/connector.ts'
import { creation, publication, tableOf, versionsFor, type DatasetVersion } from '#src/db/datasets.ts'
import { quoteIdent } from '#src/db/compile/quote.ts'
import { checkpoint, rowsInsert } from '#src/db/rows.ts'
import type { ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { newId, type DatasetVersionId } from '#src/domain/id.ts'
import { connectionNamed } from '../connection.ts'
import { leaseMs } from '../lease.ts'
import { countTeller } from '../step-log.ts'
import type { StepOutcome, StepWork } from '../step.ts'

/** What is committed with every batch: the version being filled, how much is in it, where the source stands. */
type Place = {
  versionId: DatasetVersionId
  columns: ColumnSpec[]
  rows: number
  after?: string
  state?: ReadState
}

/** Reads a stream into a new version, a batch a transaction, each batch with the place that it brings the step to. */
export async function executeExtract(work: StepWork<'extract'>): Promise<StepOutcome> {
  const { definition, claimed, budget, signal } = work
  const connection = await connectionNamed(work, definition.extract.connection)
  const earlier = await earlierVersion(work)
  const resumed = claimed.cursor as Place | null
  const after = resumed ? resumed.after : await lastCursor(work, earlier)
  const reader = await openReader(connection, {
    stream: definition.extract.stream,
    ...(definition.extract.columns ? { columns: definition.extract.columns } : {}),
    ...(definition.extract.cursor
      ? { cursor: { column: definition.extract.cursor, ...(after ? { after } : {}) } }
      : {}),
    ...(resumed?.state ? { state: resumed.state } : {}),
    signal,
  })
  try {
    // A read that cannot go on in the middle begins again, into a new version.
    const goesOn = resumed?.state === undefined || reader.resumable !== false
    if (!goesOn) claimed.rowsIn = 0
    const place = resumed && goesOn ? resumed : await begin(work, reader, earlier, after)
    const from = `"${definition.extract.stream}" of connection "${connection.name}"`
    if (resumed && goesOn) work.log('info', `Goes on with ${from} after ${claimed.rowsIn} rows.`)
    else work.log('info', `Reads ${from}${after ? ', what is new there' : ''}.`)
    const finished = await fill(work, reader, place)
    if (!finished) return { result: { state: 'ready', yielded: true } }
    work.log('info', `Read ${claimed.rowsIn} rows.`)
    return {
      statements: [publication(place.versionId, place.rows)],
      result: { state: 'succeeded', rowsIn: claimed.rowsIn, rowsOut: place.rows, cursor: null },
    }
  } finally {
    await reader.close()
    budget.spend(1)
  }
}

async function earlierVersion(work: StepWork<'extract'>): Promise<DatasetVersion | undefined> {
  const { definition, db, run } = work
  if (definition.extract.mode !== 'incremental') return undefined
  return (await versionsFor(db, run.id, [definition.into])).get(definition.into)
}

/** An incremental extract goes on after the greatest cursor value that the dataset holds. */
async function lastCursor(
  work: StepWork<'extract'>,
  earlier: DatasetVersion | undefined,
): Promise<string | undefined> {
  const { cursor } = work.definition.extract
  if (!earlier || !cursor) return undefined
  if (!earlier.columns.some((column) => column.name === cursor)) {
    throw new StepFailure('no_cursor', `Dataset "${earlier.name}" has no column "${cursor}" to go on after.`)
  }
  const [result] = await work.db.statements([
    { text: `select max(${quoteIdent(cursor)})::text as last from ${tableOf(earlier.id)}` },
  ])
  const last = result?.rows[0]?.['last']
  return typeof last === 'string' ? last : undefined
}

/** Makes the version's table, with what the dataset holds already when the extract is incremental. */
async function begin(
  work: StepWork<'extract'>,
  reader: Reader,
  earlier: DatasetVersion | undefined,
  after: string | undefined,
): Promise<Place> {
  const { db, run, claimed, definition, services } = work
  const versionId = newId('datasetVersion', services.now())
  if (earlier) refuseOtherColumns(definition.into, earlier.columns, reader.schema)
  const place: Place = {
    versionId,
    columns: reader.schema,
    rows: earlier?.rows ?? 0,
    ...(after ? { after } : {}),
  }
  const names = reader.schema.map((column) => quoteIdent(column.name)).join(', ')
  const { text, params } = checkpoint(run.id, claimed, place, 0, place.rows, leaseMs)
  await db.statements([
    creation(versionId, definition.into, run.id, claimed.key, reader.schema),
    ...(earlier
      ? [{ text: `insert into ${tableOf(versionId)} (${names}) select ${names} from ${tableOf(earlier.id)}` }]
      : []),
    { text, params },
  ])
  return place
}

function refuseOtherColumns(dataset: string, has: readonly ColumnSpec[], reads: readonly ColumnSpec[]): void {
  const words = (columns: readonly ColumnSpec[]) =>
    columns.map((column) => `${column.name} ${column.type}`).join(', ')
  if (words(has) !== words(reads)) {
    throw new StepFailure(
      'schema_mismatch',
      `The stream's columns have changed: dataset "${dataset}" has ${words(has)}; the stream gives ${words(reads)}.`,
    )
  }
}

/**
 * One batch is decoded while the database stores the one before it; never more than two are held. Returns false when the
 * budget is spent first.
 */
async function fill(work: StepWork<'extract'>, reader: Reader, place: Place): Promise<boolean> {
  const { db, run, claimed, budget, signal, progress, services, stepLog } = work
  const count = countTeller(services.now, work.log)
  const session = await db.bulk()
  const insert = rowsInsert(place.versionId, place.columns)
  let storing: Promise<unknown> = Promise.resolve()
  try {
    for await (const { batch, state } of reader.batches) {
      const rows = insert(batch)
      await storing
      signal.throwIfAborted()
      place.rows += batch.rows
      place.state = state
      claimed.rowsIn += batch.rows
      count(claimed.rowsIn)
      const said = stepLog.pending()
      storing = session
        .transact(
          [rows, ...said.statements, checkpoint(run.id, claimed, place, claimed.rowsIn, place.rows, leaseMs)],
          signal,
        )
        .then(said.written)
      storing.then(progress, () => undefined)
      budget.spend(1)
      if (budget.isSpent()) {
        await storing
        return false
      }
    }
    await storing
    return true
  } finally {
    await session.close()
  }
}
