import * as z from 'zod'

import { StepFailure } from '#src/domain/failure.ts'
import { quoteIdentifier, quoteLiteral, quoteTable, type TableName } from './name.ts'
import type { LoadPlan } from './plan.ts'
import type { PostgresSession } from './session.ts'

/**
 * The stage of a load: a table `_weir_<loadId>` beside the target. It holds the rows that have arrived, and its COMMENT
 * says how far the load is. Both change in the same transaction, so that each is always true of the other, whoever
 * wrote it, whatever died. When the load is finished an empty table of that name remains, whose COMMENT says so: an
 * attempt that comes late finds it and does nothing.
 */
export type Stage = TableName

export type LoadCounts = { rows: number; inserted?: number; updated?: number }
export type LoadPosition = { chunk: number; rows: number } | 'finished'
export type StageState = { position: { chunk: number; rows: number } } | { finished: LoadCounts }

const count = z.int().nonnegative()
const stageComment = z.union([
  z.strictObject({ chunk: count, rows: count }).transform((position) => ({ position })),
  z.strictObject({
    finished: z
      .strictObject({ rows: count, inserted: count.optional(), updated: count.optional() })
      .transform(({ rows, inserted, updated }) => ({
        rows,
        ...(inserted === undefined ? {} : { inserted }),
        ...(updated === undefined ? {} : { updated }),
      })),
  }),
])
const start = { chunk: 0, rows: 0 }

export function stageOf(table: TableName, loadId: string): Stage {
  if (!/^[a-z0-9_]{1,50}$/.test(loadId))
    throw new Error('a load id is lower-case letters, digits and underscores')
  return { schema: table.schema, table: `_weir_${loadId}` }
}

/** Undefined when there is none. */
export async function findStage(session: PostgresSession, stage: Stage): Promise<StageState | undefined> {
  const [row] = await session.query(
    `select obj_description(c.oid, 'pg_class') as comment
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2`,
    [stage.schema, stage.table],
  )
  return row && stateOf(session, stage, row['comment'])
}

/** A stage that becomes the target must survive a crash of the server like any table; others need not be logged. */
export async function createStage(session: PostgresSession, stage: Stage, plan: LoadPlan): Promise<void> {
  const isRenamed = !plan.targetExists && plan.mode !== 'upsert'
  const columns = plan.columns.map(({ name, cast }) => `${quoteIdentifier(name)} ${cast}`)
  await session.transaction(() =>
    session.script(`
      create ${isRenamed ? '' : 'unlogged'} table ${quoteTable(stage)} (${columns.join(', ')})
        with (autovacuum_enabled = off);
      ${comment(stage, start)}`),
  )
}

/**
 * Within a transaction: keeps everybody else off the stage until its end, and gives its state as it is then. A crash of
 * the server empties a table that is not logged but keeps its COMMENT: then the load is at its start again.
 */
export async function lockStage(
  session: PostgresSession,
  stage: Stage,
  mode: 'share row exclusive' | 'access exclusive' = 'share row exclusive',
): Promise<{ state: StageState; isUnlogged: boolean }> {
  const table = quoteTable(stage)
  const [row] = await session
    .script(
      `lock table ${table} in ${mode} mode;
       select obj_description(c.oid, 'pg_class') as comment, c.relpersistence = 'u' as "isUnlogged",
         exists (select 1 from ${table}) as "hasRows"
       from pg_catalog.pg_class c where c.oid = ${quoteLiteral(table)}::regclass`,
    )
    .catch((cause: unknown) => {
      throw cause instanceof StepFailure && cause.code === 'unknown_table' ? gone(session) : cause
    })
  const state = stateOf(session, stage, row?.['comment'])
  const isEmptied = 'position' in state && state.position.rows > 0 && row?.['hasRows'] === false
  return { state: isEmptied ? { position: start } : state, isUnlogged: row?.['isUnlogged'] === true }
}

export async function setPosition(
  session: PostgresSession,
  stage: Stage,
  position: { chunk: number; rows: number },
): Promise<void> {
  await session.script(comment(stage, position))
}

/** The stage, or what a rename has left of it, gives way to the empty table that says that the load is finished. */
export async function leaveTombstone(
  session: PostgresSession,
  stage: Stage,
  finished: LoadCounts,
): Promise<void> {
  await session.script(
    `drop table if exists ${quoteTable(stage)}; create table ${quoteTable(stage)} (); ${comment(stage, { finished })}`,
  )
}

export async function removeStage(session: PostgresSession, stage: Stage): Promise<void> {
  await session.script(`drop table if exists ${quoteTable(stage)}`)
}

const comment = (stage: Stage, value: unknown): string =>
  `comment on table ${quoteTable(stage)} is ${quoteLiteral(JSON.stringify(value))}`

function stateOf(session: PostgresSession, stage: Stage, text: unknown): StageState {
  const parsed = stageComment.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  const { name } = session.connection
  throw new StepFailure(
    'stage_unreadable',
    `Connection "${name}": the table ${stage.schema}.${stage.table} was changed by somebody else; drop it and run again.`,
  )
}

function jsonOf(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

const gone = (session: PostgresSession): StepFailure =>
  new StepFailure(
    'load_gone',
    `Connection "${session.connection.name}": this load was abandoned or is long finished.`,
  )
