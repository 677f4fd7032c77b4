import { sql, type SQL } from 'drizzle-orm'
import type { RunId } from '#src/domain/id.ts'
import { levelsFrom, type LogLevel } from '#src/domain/log.ts'
import { notFound } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'

export type NewLine = { at: Date; level: LogLevel; message: string }

export type LogLine = NewLine & { seq: number; stepKey: string; mapIndex: number | null }

/** The statement that writes lines of a step, before the one that commits what they tell of; see app.write_log. */
export const logWrite = (
  runId: RunId,
  step: { key: string; mapIndex: number },
  lines: readonly NewLine[],
): { text: string; params: (string | number)[] } => ({
  text: 'select app.write_log($1, $2, $3, $4::jsonb)',
  params: [runId, step.key, step.mapIndex, JSON.stringify(lines)],
})

export type LogFilter = {
  /** With its items, and those of maps inside of it. */
  step?: string | undefined
  /** And what is graver. */
  level?: LogLevel | undefined
  /** Plain text that the message holds, whatever its case. */
  search?: string | undefined
}

/** The query of a run's lines after that number, in order. */
export function linesAfter(
  db: TenantDb,
  runId: RunId,
  after: number,
  limit: number,
  { step, level, search }: LogFilter = {},
): SQL {
  const wanted = [
    sql`tenant_id = ${db.tenantId} and run_id = ${runId} and seq > ${after}`,
    ...(step === undefined ? [] : [sql`(step_key = ${step} or starts_with(step_key, ${`${step}.`}))`]),
    ...(level === undefined ? [] : [sql`level = any(${sql.param(levelsFrom(level))}::text[])`]),
    ...(search === undefined ? [] : [sql`message ilike ${`%${search.replaceAll(/[\\%_]/g, '\\$&')}%`}`]),
  ]
  return sql`
    select seq, at, step_key as "stepKey", map_index as "mapIndex", level, message
    from run_logs where ${sql.join(wanted, sql` and `)}
    order by seq limit ${limit}`
}

/** Notes that lines of a log were shown, for they may hold data. */
export const noteOfLines = (db: TenantDb, runId: RunId, lines: SQL): SQL => sql`
  select app.note_own('run.logs', 'run', id, jsonb_build_object('records', (select count(*) from (${lines}) shown)))
  from runs where tenant_id = ${db.tenantId} and id = ${runId}`

type Row = Omit<LogLine, 'at'> & { at: string | Date }

export const linesOf = (rows: readonly Record<string, unknown>[]): LogLine[] =>
  (rows as Row[]).map((row) => ({ ...row, at: new Date(row.at) }))

/** In the order in which they were committed; one more than `limit` says that there are further ones. */
export async function listLogs(
  db: TenantDb,
  runId: RunId,
  filter: LogFilter,
  after: number,
  limit: number,
): Promise<LogLine[]> {
  const [run, lines] = await db.run(
    db.sql.execute(sql`select 1 from runs where tenant_id = ${db.tenantId} and id = ${runId}`),
    db.sql.execute(linesAfter(db, runId, after, limit + 1, filter)),
    db.sql.execute(noteOfLines(db, runId, linesAfter(db, runId, after, limit, filter))),
  )
  if (run.rows.length === 0) throw notFound('run')
  return linesOf(lines.rows)
}
