import { sql, type SQL } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { SsoDomain } from '#src/domain/sso.ts'
import type { TenantDb } from './database.ts'
import { sqlStateOf } from './failure.ts'
import { statement } from './statement.ts'

const columns = sql`domain, token, provider_id as "providerId", verified_at as "verifiedAt", created_at as "createdAt"`

type Row = Omit<SsoDomain, 'verifiedAt' | 'createdAt'> & { verifiedAt: string | null; createdAt: string }

async function ask(db: TenantDb, query: SQL): Promise<SsoDomain[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    verifiedAt: row.verifiedAt === null ? null : new Date(row.verifiedAt),
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
      sql`update sso_domains set verified_at = coalesce(verified_at, now())
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
