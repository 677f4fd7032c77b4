import { sql, type SQL } from 'drizzle-orm'
import type { AuditEntry } from '#src/domain/audit.ts'
import type { Id, TenantId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { columns as entryColumns } from './audit.ts'
import type { Database, TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type AuditStreamId = Id<'auditStream'>

export type AuditStream = {
  id: AuditStreamId
  name: string
  url: string
  /** Sealed; see SecretBox. */
  secret: string | null
  /** Beginnings of actions; none is everything. */
  actions: string[]
  /** The number of the last entry that has arrived, or was passed over. */
  cursor: number
  attempts: number
  failure: { code: string; message: string; at: string } | null
  disabledAt: Date | null
  version: number
  createdAt: Date
  updatedAt: Date
}

const columns = sql`id, name, url, secret, actions, cursor, attempts, failure, disabled_at as "disabledAt", version,
  created_at as "createdAt", updated_at as "updatedAt"`

type Row = Omit<AuditStream, 'cursor' | 'disabledAt' | 'createdAt' | 'updatedAt'> & {
  cursor: string
  disabledAt: string | null
  createdAt: string
  updatedAt: string
}

async function ask(db: TenantDb, query: SQL): Promise<AuditStream[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    cursor: Number(row.cursor),
    disabledAt: row.disabledAt === null ? null : new Date(row.disabledAt),
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
  }))
}

/** It begins with what is sealed from now on, or with the oldest entry there is. */
export async function insertStream(
  db: TenantDb,
  stream: {
    id: AuditStreamId
    name: string
    url: string
    secret: string
    actions: string[]
    fromBeginning: boolean
  },
): Promise<AuditStream> {
  const { id, name, url, secret, actions, fromBeginning } = stream
  const [made] = await ask(
    db,
    sql`insert into audit_streams (tenant_id, id, name, url, secret, actions, cursor)
      values (${db.tenantId}, ${id}, ${name}, ${url}, ${secret}, ${sql.param(actions)}::text[],
        coalesce((select case when ${fromBeginning}::boolean then anchor_seq else seq end from audit_heads where tenant_id = ${db.tenantId}), 0))
      on conflict do nothing returning ${columns}`,
  )
  if (!made) throw new Problem('conflict', `There is a stream named "${name}" already.`)
  return made
}

export async function findStream(db: TenantDb, id: AuditStreamId): Promise<AuditStream | undefined> {
  const [found] = await ask(
    db,
    sql`select ${columns} from audit_streams where tenant_id = ${db.tenantId} and id = ${id}`,
  )
  return found
}

export async function getStream(db: TenantDb, id: AuditStreamId): Promise<AuditStream> {
  const found = await findStream(db, id)
  if (!found) throw notFound('stream')
  return found
}

export const listStreams = (db: TenantDb, after: string | undefined, limit: number): Promise<AuditStream[]> =>
  ask(
    db,
    sql`select ${columns} from audit_streams
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or id > ${after ?? null})
      order by id limit ${limit + 1}`,
  )

/** Changes what is given where the version still is the one that the caller saw; a changed stream is tried again at once. */
export async function updateStream(
  db: TenantDb,
  id: AuditStreamId,
  version: number,
  change: { name?: string; url?: string; secret?: string; actions?: string[] },
): Promise<AuditStream | undefined> {
  const { name = null, url = null, secret = null, actions } = change
  const [changed] = await ask(
    db,
    sql`update audit_streams set name = coalesce(${name}, name), url = coalesce(${url}, url), secret = coalesce(${secret}, secret),
        actions = coalesce(${actions === undefined ? null : sql.param(actions)}::text[], actions),
        failure = null, disabled_at = null, attempts = 0, next_attempt_at = now(), version = version + 1, updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and version = ${version}
      returning ${columns}`,
  )
  return changed
}

/** False when it is not in a version that the caller expects. */
export async function deleteStream(
  db: TenantDb,
  id: AuditStreamId,
  expected: readonly number[] | 'any',
): Promise<boolean> {
  const versions = expected === 'any' ? null : sql.param([...expected])
  const [gone] = await ask(
    db,
    sql`delete from audit_streams where tenant_id = ${db.tenantId} and id = ${id}
        and (${versions}::int[] is null or version = any(${versions}::int[]))
      returning ${columns}`,
  )
  if (!gone) await getStream(db, id)
  return gone !== undefined
}

/** How many entries are looked through for one batch. */
const mostLookedAt = 1_000

/** The next entries for a stream, in the order of the chain, and the number up to which they are all. */
export async function nextBatch(
  db: TenantDb,
  stream: Pick<AuditStream, 'cursor' | 'actions'>,
  limit: number,
): Promise<{ entries: AuditEntry[]; upTo: number }> {
  const { cursor, actions } = stream
  const [result] = await db.statements([
    statement(sql`
      with looked_at as materialized (
        select * from audit_entries where tenant_id = ${db.tenantId} and seq > ${cursor}::bigint
        order by seq limit ${mostLookedAt}
      ), fitting as (
        select * from looked_at
        where cardinality(${sql.param(actions)}::text[]) = 0
          or exists (select from unnest(${sql.param(actions)}::text[]) p where starts_with(action, p))
        order by seq limit ${limit})
      select (select coalesce(jsonb_agg(to_jsonb(e) order by seq), '[]') from (select ${entryColumns} from fitting) e) as entries,
        case when (select count(*) from fitting) = ${limit} then (select max(seq) from fitting)
          else coalesce((select max(seq) from looked_at), ${cursor}::bigint) end as up_to`),
  ])
  const row = result?.rows[0]
  return { entries: (row?.['entries'] ?? []) as AuditEntry[], upTo: Number(row?.['up_to'] ?? cursor) }
}

/** Moves a stream on; false when somebody else has, or its configuration has changed. */
export async function passStream(
  db: TenantDb,
  { id, cursor, version }: Pick<AuditStream, 'id' | 'cursor' | 'version'>,
  upTo: number,
): Promise<boolean> {
  const moved = await ask(
    db,
    sql`update audit_streams set cursor = ${upTo}::bigint, attempts = 0, failure = null, next_attempt_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and cursor = ${cursor}::bigint and version = ${version}
      returning ${columns}`,
  )
  return moved.length > 0
}

/** Notes that a batch did not arrive; it is tried again after `waitMs`, or never. */
export async function holdStream(
  db: TenantDb,
  { id, version }: Pick<AuditStream, 'id' | 'version'>,
  failure: { code: string; message: string },
  waitMs: number | undefined,
): Promise<void> {
  await ask(
    db,
    sql`update audit_streams set attempts = attempts + 1,
        failure = ${JSON.stringify({ ...failure, at: new Date().toISOString() })}::jsonb,
        next_attempt_at = now() + ${waitMs ?? 0}::double precision * interval '1 ms',
        disabled_at = case when ${waitMs === undefined}::boolean then now() else disabled_at end
      where tenant_id = ${db.tenantId} and id = ${id} and version = ${version}
      returning ${columns}`,
  )
}

/** Streams of any tenant that have something to deliver and may try now. */
export async function dueStreams(
  database: Database,
  limit: number,
): Promise<{ tenantId: TenantId; streamId: AuditStreamId }[]> {
  const [result] = await database.open(
    database.sql.execute(sql`select app.due_audit_streams(${limit}::int) as due`),
  )
  return result.rows.map((row) => row['due'] as { tenantId: TenantId; streamId: AuditStreamId })
}
