import { sql, type SQL } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { SsoProvider } from '#src/domain/sso.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

const columns = sql`id, name, issuer, client_id as "clientId", client_auth as "clientAuth", client_secret as "clientSecret",
  to_jsonb(scopes) as scopes, groups_claim as "groupsClaim", role_map as "roleMap", default_role as "defaultRole", jit, version,
  created_at as "createdAt", updated_at as "updatedAt"`

type Row = Omit<SsoProvider, 'createdAt' | 'updatedAt'> & { createdAt: string; updatedAt: string }

async function ask(db: TenantDb, query: SQL): Promise<SsoProvider[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
  }))
}

const textArray = (texts: readonly string[]) =>
  sql`array(select jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb))`

export type NewSsoProvider = Omit<SsoProvider, 'version' | 'createdAt' | 'updatedAt'>

export async function insertSsoProvider(db: TenantDb, provider: NewSsoProvider): Promise<SsoProvider> {
  const { id, name, issuer, clientId, clientAuth, clientSecret, groupsClaim, defaultRole, jit } = provider
  const [made] = await ask(
    db,
    sql`insert into sso_providers (tenant_id, id, name, issuer, client_id, client_auth, client_secret, scopes, groups_claim,
        role_map, default_role, jit)
      values (${db.tenantId}, ${id}, ${name}, ${issuer}, ${clientId}, ${clientAuth}, ${clientSecret},
        ${textArray(provider.scopes)}, ${groupsClaim}, ${JSON.stringify(provider.roleMap)}::jsonb, ${defaultRole}, ${jit})
      on conflict do nothing returning ${columns}`,
  )
  if (!made) throw new Problem('conflict', `There is a provider named "${name}" already.`)
  return made
}

export async function getSsoProvider(db: TenantDb, id: Id<'ssoProvider'>): Promise<SsoProvider> {
  const [found] = await ask(
    db,
    sql`select ${columns} from sso_providers where tenant_id = ${db.tenantId} and id = ${id}`,
  )
  if (!found) throw notFound('provider')
  return found
}

export const listSsoProviders = (
  db: TenantDb,
  after: string | undefined,
  limit: number,
): Promise<SsoProvider[]> =>
  ask(
    db,
    sql`select ${columns} from sso_providers
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or id > ${after ?? null})
      order by id limit ${limit + 1}`,
  )

/** Writes it anew where the version still is the one that the caller saw. */
export async function updateSsoProvider(
  db: TenantDb,
  version: number,
  provider: NewSsoProvider,
): Promise<SsoProvider | undefined> {
  const { id, name, issuer, clientId, clientAuth, clientSecret, groupsClaim, defaultRole, jit } = provider
  const [changed] = await ask(
    db,
    sql`update sso_providers set name = ${name}, issuer = ${issuer}, client_id = ${clientId}, client_auth = ${clientAuth},
        client_secret = ${clientSecret}, scopes = ${textArray(provider.scopes)}, groups_claim = ${groupsClaim},
        role_map = ${JSON.stringify(provider.roleMap)}::jsonb, default_role = ${defaultRole}, jit = ${jit},
        version = version + 1, updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and version = ${version}
      returning ${columns}`,
  )
  return changed
}

/** False when it is not in a version that the caller expects. */
export async function deleteSsoProvider(
  db: TenantDb,
  id: Id<'ssoProvider'>,
  expected: readonly number[] | 'any',
): Promise<boolean> {
  const versions = expected === 'any' ? null : sql.param([...expected])
  const [gone] = await ask(
    db,
    sql`delete from sso_providers where tenant_id = ${db.tenantId} and id = ${id}
        and (${versions}::int[] is null or version = any(${versions}::int[]))
      returning ${columns}`,
  )
  if (!gone) await getSsoProvider(db, id)
  return gone !== undefined
}

/** Forgets who somebody is at the provider: the next subject with their address takes the place. */
export async function deleteIdentity(db: TenantDb, id: Id<'ssoProvider'>, userId: string): Promise<void> {
  const [result] = await db.statements([
    statement(sql`delete from sso_identities
      where tenant_id = ${db.tenantId} and provider_id = ${id} and user_id = ${userId} returning 1`),
  ])
  if (!result?.rowCount) throw notFound('identity')
}
