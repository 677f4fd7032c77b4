import { sql, type SQL } from 'drizzle-orm'
import type { AuditEntry, RequestOrigin } from '#src/domain/audit.ts'
import type { Position } from '#src/domain/page.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement, type Statement } from './statement.ts'

/** What is noted of a read: `records` says how many rows of data were shown. */
export type Note = {
  action: string
  kind: string
  id?: string | undefined
  details?: Record<string, unknown>
}

/**
 * The statement that notes what the claim's actor does where no trigger sees it, to be put into the transaction that does it.
 * @param records an expression that counts the rows shown
 */
export const noteStatement = ({ action, kind, id, details = {} }: Note, records?: SQL): Statement =>
  statement(sql`select ${noteCall({ action, kind, id, details }, records)}`)

const noteCall = ({ action, kind, id, details = {} }: Note, records?: SQL): SQL =>
  sql`app.note_own(${action}, ${kind}, ${id ?? null}, ${JSON.stringify(details)}::jsonb
    ${records === undefined ? sql`` : sql`|| jsonb_build_object('records', ${records})`})`

/** What somebody has us try outside, of a row that there is: `table` of its tenant, by its id and name. */
export type Trial = {
  action: string
  kind: string
  table: 'connections' | 'channels' | 'sso_providers'
  id: string
}

/** Has the next transaction, which reads the row, note first that it is about to be tried. */
export const noteTrial = (db: TenantDb, { action, kind, table, id }: Trial): void =>
  db.demand(sql`select app.note_own(${action}, ${kind}, id, jsonb_build_object('name', name))
    from ${sql.identifier(table)} where tenant_id = ${db.tenantId} and id = ${id}`)

/** Notes something that has no statement of its own. */
export async function noteOwn(db: TenantDb, note: Note): Promise<void> {
  await db.statements([noteStatement(note)])
}

/** Notes it in every tenant of whoever has this address; nobody has it, nothing is noted. */
export const noteRefusedSignIn = (
  database: Database,
  email: string,
  reason: string,
  origin: RequestOrigin,
): Promise<void> =>
  openCall(database, sql`app.note_refused_sign_in(${email}, ${reason}, ${JSON.stringify(origin)}::jsonb)`)

export type AuditFilter = {
  actor?: string | undefined
  /** What the action begins with. */
  action?: string | undefined
  kind?: string | undefined
  target?: string | undefined
  requestId?: string | undefined
  from?: string | undefined
  to?: string | undefined
  /** Plain text that the target's name or the details hold, whatever its case. */
  search?: string | undefined
}

/** How many entries are looked through for what no index finds; a page may so be short and still not be the last. */
const mostSearched = 20_000

/** Newest first, with the place to go on at; what is shown is noted in the same transaction. */
export async function searchAudit(
  db: TenantDb,
  filter: AuditFilter,
  { limit, after }: { limit: number; after?: Position | undefined },
  noteAs: 'audit.read' | 'audit.export',
): Promise<{ items: AuditEntry[]; next?: Position }> {
  const { search, kind } = filter
  const fits = [
    ...(kind === undefined ? [] : [sql`target_kind = ${kind}`]),
    ...(search === undefined
      ? []
      : [sql`(target_name ilike ${pattern(search)} or details::text ilike ${pattern(search)})`]),
  ]
  const wanted = entriesQuery(db, filter, after, fits.length === 0 ? limit + 1 : mostSearched)
  const found =
    fits.length === 0
      ? sql`select * from looked_at`
      : sql`select * from looked_at where ${sql.join(fits, sql` and `)} order by at desc, id desc limit ${limit + 1}`
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
  const note: Note = { action: noteAs, kind: 'audit', details: { filter: given } }
  const [result] = await db.statements([
    statement(sql`
      with recursive ${names(db, filter)} looked_at as materialized (${wanted}), found as materialized (${found}),
      shown as (select ${columns} from found order by at desc, id desc limit ${limit})
      select (select coalesce(jsonb_agg(to_jsonb(shown)), '[]') from shown) as items,
        (select count(*)::int from found) as found, (select count(*)::int from looked_at) as looked,
        (select jsonb_build_array(at::text, id::text) from looked_at order by at, id limit 1) as last,
        ${noteCall(note, sql`(select count(*) from shown)`)}`),
  ])
  const row = result?.rows[0]
  const items = (row?.['items'] ?? []) as AuditEntry[]
  const end = items.at(-1)
  if (Number(row?.['found'] ?? 0) > limit && end) return { items, next: [end.at, String(end.id)] }
  if (fits.length > 0 && Number(row?.['looked'] ?? 0) === mostSearched)
    return { items, next: row?.['last'] as Position }
  return { items }
}

const pattern = (text: string): string => `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`

/** An entry as the API shows it. */
export const columns = sql`seq, id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, actor,
  actor_kind as "actorKind", action, target_kind as "targetKind", target_id as "targetId", target_name as "targetName", address,
  user_agent as "userAgent", credential, request_id as "requestId", records, details, encode(hash, 'hex') as hash`

/** The few actions that begin like this, each found by one step in the index. */
function names(db: TenantDb, { action }: AuditFilter): SQL {
  if (action === undefined) return sql``
  const next = (than: SQL) => sql`
    select e.action from audit_entries e
    where e.tenant_id = ${db.tenantId} and ${than} and e.action < ${`${action}~`}::text collate "C"
    order by e.action limit 1`
  return sql`names(action) as (
    (${next(sql`e.action >= ${action}::text collate "C"`)})
    union all
    select (${next(sql`e.action > n.action`)}) from names n where n.action is not null
  ),`
}

/** A page is read from the end of an index: of one action a time, where actions are asked for. */
function entriesQuery(db: TenantDb, filter: AuditFilter, after: Position | undefined, limit: number): SQL {
  const { actor, action, target, requestId, from, to } = filter
  const conditions = [
    sql`e.tenant_id = ${db.tenantId}`,
    ...(actor === undefined ? [] : [sql`e.actor = ${actor}`]),
    ...(target === undefined ? [] : [sql`e.target_id = ${target}`]),
    ...(requestId === undefined ? [] : [sql`e.request_id = ${requestId}`]),
    ...(from === undefined ? [] : [sql`e.at >= ${from}::timestamptz`]),
    ...(to === undefined ? [] : [sql`e.at < ${to}::timestamptz`]),
    ...(after === undefined ? [] : [sql`(e.at, e.id) < (${after[0]}::timestamptz, ${after[1]}::bigint)`]),
  ]
  const page = (more: SQL) => sql`
    select e.* from audit_entries e where ${sql.join(conditions, sql` and `)} ${more}
    order by e.at desc, e.id desc limit ${limit}`
  if (action === undefined) return page(sql``)
  return sql`
    select o.* from (select n.action from names n where n.action is not null) n
    cross join lateral (${page(sql`and e.action = n.action`)}) o
    order by o.at desc, o.id desc limit ${limit}`
}
