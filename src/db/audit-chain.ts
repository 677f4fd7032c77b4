import { sql } from 'drizzle-orm'
import type { ChainPlace, SignedPlace } from '#src/domain/audit.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Database } from './database.ts'
import { openCall } from './open-call.ts'

/** Runs one statement and gives its rows: under a tenant's claim in the Worker, as the owner for the command. */
export type Ask = (text: string, params: unknown[]) => Promise<Record<string, unknown>[]>

export type Chain = {
  head: ChainPlace | undefined
  signed: SignedPlace | undefined
  anchor: SignedPlace | undefined
  anchorSeq: number
  /** The oldest entry that was left out by a sealing that came long after it. */
  leftOut: string | undefined
}

export type Fault = 'missing' | 'changed' | 'backdated'
export type CheckedPage = {
  checked: number
  last: ChainPlace | undefined
  broken?: { seq: number; fault: Fault }
}

/** Longer than any transaction takes: an entry is never this much older than the one before it. */
const slack = `interval '15 minutes'`

export async function readChain(ask: Ask, tenantId: TenantId): Promise<Chain> {
  const [row] = await ask(
    `select h.seq, encode(h.hash, 'hex') as hash, h.signed, h.anchor, h.anchor_seq,
      (select min(e.at)::text from audit_entries e
       where e.tenant_id = h.tenant_id and e.seq is null and e.at < h.sealed_at - ${slack}) as left_out
     from audit_heads h where h.tenant_id = $1`,
    [tenantId],
  )
  const seq = Number(row?.['seq'] ?? 0)
  return {
    head: seq > 0 ? { seq, hash: String(row?.['hash']) } : undefined,
    signed: (row?.['signed'] as SignedPlace | null | undefined) ?? undefined,
    anchor: (row?.['anchor'] as SignedPlace | null | undefined) ?? undefined,
    anchorSeq: Number(row?.['anchor_seq'] ?? 0),
    leftOut: (row?.['left_out'] as string | null | undefined) ?? undefined,
  }
}

/**
 * Looks whether each entry after `from`, up to `upTo`, follows from the one before it. What its hash is made of is written
 * out here and not asked of the function that seals.
 */
export async function checkChain(
  ask: Ask,
  tenantId: TenantId,
  from: ChainPlace,
  upTo: number,
  limit: number,
): Promise<CheckedPage> {
  const [row] = await ask(
    `with page as (
       select seq, hash, at, jsonb_build_array(tenant_id, seq, id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         actor, actor_kind, action, target_kind, target_id, target_name, address, user_agent, credential, request_id, records,
         details)::text as canonical
       from audit_entries where tenant_id = $1 and seq > $2::bigint and seq <= $3::bigint order by seq limit $4::int
     ), linked as (
       select seq, hash, at, canonical, lag(hash, 1, decode($5, 'hex')) over w as hash_before,
         lag(seq, 1, $2::bigint) over w as seq_before, lag(at) over w as at_before
       from page window w as (order by seq)
     ), judged as (
       select seq, hash, case when seq <> seq_before + 1 then 'missing'
         when hash <> sha256(hash_before || convert_to(canonical, 'UTF8')) then 'changed'
         when at < at_before - ${slack} then 'backdated' end as fault, seq_before
       from linked
     )
     select count(*)::int as checked, max(seq) as seq, encode((array_agg(hash order by seq desc))[1], 'hex') as hash,
       (array_agg(fault order by seq) filter (where fault is not null))[1] as fault,
       (array_agg(case fault when 'missing' then seq_before + 1 else seq end order by seq) filter (where fault is not null))[1] as broken
     from judged`,
    [tenantId, from.seq, upTo, limit, from.hash],
  )
  const checked = Number(row?.['checked'] ?? 0)
  return {
    checked,
    last: checked > 0 ? { seq: Number(row?.['seq']), hash: String(row?.['hash']) } : undefined,
    ...(row?.['fault'] ? { broken: { seq: Number(row['broken']), fault: row['fault'] as Fault } } : {}),
  }
}

/** The hash of one entry of the chain, in hex; undefined when there is none. */
export async function hashAt(ask: Ask, tenantId: TenantId, seq: number): Promise<string | undefined> {
  const [row] = await ask(
    `select encode(hash, 'hex') as hash from audit_entries where tenant_id = $1 and seq = $2::bigint`,
    [tenantId, seq],
  )
  return row?.['hash'] as string | undefined
}

/** Seals entries of every tenant; see app.seal_audit. Gives how many. */
export const sealAudit = (database: Database, limit: number): Promise<number> =>
  openCall(database, sql`app.seal_audit(${limit}::int)`)

export type UnsignedHead = ChainPlace & {
  tenantId: TenantId
  signed: SignedPlace | null
  anchor: SignedPlace | null
}

async function rowsOf<R>(database: Database, query: ReturnType<typeof sql>): Promise<R[]> {
  const [result] = await database.open(database.sql.execute(query))
  return result.rows.map((row) => row['value'] as R)
}

export const unsignedHeads = (database: Database, keyId: string, limit: number): Promise<UnsignedHead[]> =>
  rowsOf(database, sql`select app.unsigned_heads(${keyId}, ${limit}::int) as value`)

export const keepSignatures = (
  database: Database,
  signed: readonly { tenantId: TenantId; signed: SignedPlace; anchor: SignedPlace | null }[],
): Promise<void> => openCall(database, sql`app.sign_heads(${JSON.stringify(signed)}::jsonb)`)

export type Prunable = ChainPlace & { tenantId: TenantId; anchor: SignedPlace | null }

/** What retention may take now: the last entry of each tenant's oldest `limit`. */
export const prunable = (database: Database, tenants: number, limit: number): Promise<Prunable[]> =>
  rowsOf(database, sql`select app.audit_prunable(${tenants}::int, ${limit}::int) as value`)

export const pruneAudit = (
  database: Database,
  tenantId: TenantId,
  anchor: SignedPlace,
  limit: number,
): Promise<number> =>
  openCall(database, sql`app.prune_audit(${tenantId}, ${JSON.stringify(anchor)}::jsonb, ${limit}::int)`)
