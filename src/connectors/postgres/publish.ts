import { StepFailure } from '#src/domain/failure.ts'
import { formatTableName, quoteIdentifier, quoteLiteral, quoteTable } from './name.ts'
import type { LoadPlan } from './plan.ts'
import { findRelation, type Relation } from './relation.ts'
import type { PostgresSession } from './session.ts'
import type { LoadCounts, Stage } from './stage.ts'

/** Within the transaction that ends the load: brings the staged rows into the target. */
export async function publish(
  session: PostgresSession,
  stage: Stage,
  plan: LoadPlan,
  staged: { rows: number; isUnlogged: boolean },
): Promise<LoadCounts> {
  const target = (await findRelation(session, plan.table)) ?? (await aloneWith(session, plan))
  if (!target && plan.mode !== 'upsert' && !staged.isUnlogged) {
    await renameStage(session, stage, plan)
    return { rows: staged.rows }
  }
  if (!target) await createTarget(session, plan)
  if (plan.mode === 'upsert') return upsert(session, stage, plan, target)
  if (plan.mode === 'overwrite') await session.script(`truncate ${quoteTable(plan.table)}`)
  return { rows: await session.execute(insertion(stage, plan)) }
}

/** Of the loads that all want to make the target, one makes it and the others find it. */
async function aloneWith(session: PostgresSession, plan: LoadPlan): Promise<Relation | undefined> {
  const name = quoteLiteral(`weir ${formatTableName(plan.table)}`)
  await session.script(`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`)
  return findRelation(session, plan.table)
}

async function renameStage(session: PostgresSession, stage: Stage, plan: LoadPlan): Promise<void> {
  const target = quoteTable(plan.table)
  await session.script(
    `alter table ${quoteTable(stage)} rename to ${quoteIdentifier(plan.table.table)};
     alter table ${target} reset (autovacuum_enabled);
     comment on table ${target} is null`,
  )
}

async function createTarget(session: PostgresSession, plan: LoadPlan): Promise<void> {
  const columns = plan.columns.map(({ name, cast }) => `${quoteIdentifier(name)} ${cast}`)
  const key = plan.key.length > 0 ? [`primary key (${list(plan.key)})`] : []
  await session.script(`create table ${quoteTable(plan.table)} (${[...columns, ...key].join(', ')})`)
}

async function upsert(
  session: PostgresSession,
  stage: Stage,
  plan: LoadPlan,
  target: Relation | undefined,
): Promise<LoadCounts> {
  await refuseNullKeys(session, stage, plan)
  const others = plan.columns
    .filter(({ name }) => !plan.key.includes(name))
    .map(({ name }) => quoteIdentifier(name))
  // Setting the key to itself touches the row, so that a row that was there counts as updated, as any other.
  const set = others.length > 0 ? others : plan.key.map(quoteIdentifier)
  const sql = `${insertion(stage, plan)} on conflict (${list(plan.key)}) do update set ${set
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`
  // A partitioned table does not tell by xmax whether a row is new.
  if (target?.kind === 'partitioned') return { rows: await session.execute(sql) }
  const [row] = await session.query(
    `with loaded as (${sql} returning (xmax = 0) as "isNew")
     select count(*)::float8 as rows, count(*) filter (where "isNew")::float8 as inserted from loaded`,
  )
  const rows = Number(row?.['rows'])
  const inserted = Number(row?.['inserted'])
  return { rows, inserted, updated: rows - inserted }
}

async function refuseNullKeys(session: PostgresSession, stage: Stage, plan: LoadPlan): Promise<void> {
  const isNull = plan.key.map((name) => `${quoteIdentifier(name)} is null`).join(' or ')
  const found = await session.query(`select 1 from ${quoteTable(stage)} where ${isNull} limit 1`)
  if (found.length === 0) return
  const where = `Connection "${session.connection.name}", table ${formatTableName(plan.table)}`
  const key = plan.key.map((name) => `"${name}"`).join(', ')
  throw new StepFailure('null_key', `${where}: rows to load have a null in the key ${key}.`)
}

const insertion = (stage: Stage, { table, columns }: LoadPlan): string =>
  `insert into ${quoteTable(table)} (${list(columns.map(({ name }) => name))})
   select ${columns.map(({ name, targetCast }) => `${quoteIdentifier(name)}::${targetCast}`).join(', ')}
   from ${quoteTable(stage)}`

const list = (names: readonly string[]): string => names.map(quoteIdentifier).join(', ')
