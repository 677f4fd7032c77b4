import { sql, type SQL } from 'drizzle-orm'
import type { Id, TenantId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { SsoDomain } from '#src/domain/sso.ts'
import type { Database, TenantDb } from './database.ts'
import { sqlStateOf } from './failure.ts'
import type { SealedMail } from './mails.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

const columns = sql`domain, token, provider_id as "providerId", verified_at as "verifiedAt",
  looked_at as "lookedAt", missing_since as "missingSince", lost_at as "lostAt", created_at as "createdAt"`

type Times = 'verifiedAt' | 'lookedAt' | 'missingSince' | 'lostAt'
type Row = Omit<SsoDomain, Times | 'createdAt'> & Record<Times, string | null> & { createdAt: string }
const dateOf = (time: string | null) => (time === null ? null : new Date(time))

async function ask(db: TenantDb, query: SQL): Promise<SsoDomain[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    verifiedAt: dateOf(row.verifiedAt),
    lookedAt: dateOf(row.lookedAt),
    missingSince: dateOf(row.missingSince),
    lostAt: dateOf(row.lostAt),
    createdAt: new Date(row.createdAt),
  }))
}

/** A claim made twice is the first one: its token is in somebody's DNS perhaps. */
export async function insertSsoDomain(
  db: TenantDb,
  domain: { domain: string; token: string; providerId: Id<'ssoProvider'> | null },
): Promise<SsoDomain> {
  const [made] = await ask(
    db,
    sql`insert into sso_domains (tenant_id, domain, token, provider_id)
      values (${db.tenantId}, ${domain.domain}, ${domain.token}, ${domain.providerId})
      on conflict do nothing returning ${columns}`,
  )
  return made ?? getSsoDomain(db, domain.domain)
}

export async function getSsoDomain(db: TenantDb, domain: string): Promise<SsoDomain> {
  const [found] = await ask(
    db,
    sql`select ${columns} from sso_domains where tenant_id = ${db.tenantId} and domain = ${domain}`,
  )
  if (!found) throw notFound('domain')
  return found
}

export const listSsoDomains = (
  db: TenantDb,
  after: string | undefined,
  limit: number,
): Promise<SsoDomain[]> =>
  ask(
    db,
    sql`select ${columns} from sso_domains
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or domain > ${after ?? null})
      order by domain limit ${limit + 1}`,
  )

/** Only one tenant can have it proved. */
export async function verifySsoDomain(db: TenantDb, domain: string, token: string): Promise<SsoDomain> {
  try {
    const [proved] = await ask(
      db,
      sql`update sso_domains set verified_at = coalesce(verified_at, now()), looked_at = now(), missing_since = null,
          misses = 0, lost_at = null, next_look_at = now() + interval '20 hours' + random() * interval '8 hours'
        where tenant_id = ${db.tenantId} and domain = ${domain} and token = ${token} returning ${columns}`,
    )
    if (!proved) throw notFound('domain')
    return proved
  } catch (error) {
    if (sqlStateOf(error) !== '23505') throw error
    throw new Problem(
      'conflict',
      'Another tenant has proved to own this domain; it must let go of it first.',
      {
        cause: error,
      },
    )
  }
}

export async function setDomainProvider(
  db: TenantDb,
  domain: string,
  providerId: Id<'ssoProvider'> | null,
): Promise<SsoDomain> {
  const [changed] = await ask(
    db,
    sql`update sso_domains set provider_id = ${providerId}
      where tenant_id = ${db.tenantId} and domain = ${domain} returning ${columns}`,
  )
  if (!changed) throw notFound('domain')
  return changed
}

export async function deleteSsoDomain(db: TenantDb, domain: string): Promise<void> {
  const [gone] = await ask(
    db,
    sql`delete from sso_domains where tenant_id = ${db.tenantId} and domain = ${domain} returning ${columns}`,
  )
  if (!gone) throw notFound('domain')
}

export type DueDomain = {
  tenantId: TenantId
  /** Its name. */
  tenant: string
  domain: string
  token: string
  /** Looks in a row that have not found the record. */
  misses: number
  /** Whom to tell. */
  emails: string[]
}

/** Proved domains whose record is to be looked at now; see app.due_domains. */
export async function dueDomains(database: Database, limit: number): Promise<DueDomain[]> {
  const [result] = await database.open(
    database.sql.execute(
      sql`select tenant_id as "tenantId", tenant, domain, token, misses, emails from app.due_domains(${limit})`,
    ),
  )
  return result.rows as DueDomain[]
}

export type DomainLook = 'kept' | 'back' | 'missing' | 'still_missing' | 'lost' | 'gone'

/** What a look has shown; the mails go with the first that misses the record, and with the one that ends the proof. */
export const noteDomainLook = (
  database: Database,
  { tenantId, domain, token }: Pick<DueDomain, 'tenantId' | 'domain' | 'token'>,
  isThere: boolean,
  mails: readonly SealedMail[],
): Promise<DomainLook> =>
  openCall(
    database,
    sql`app.note_domain_look(${tenantId}, ${domain}, ${token}, ${isThere},
      ${JSON.stringify(mails.map(({ id, sealed }) => ({ id, sealed })))}::jsonb)`,
  )
