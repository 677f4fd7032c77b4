import { sql, type SQL } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { OidcProvider, SamlProvider, SsoProvider } from '#src/domain/sso.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

const columns = sql`id, kind, name, issuer, client_id as "clientId", client_auth as "clientAuth", client_secret as "clientSecret",
  to_jsonb(scopes) as scopes, sign_in_url as "signInUrl", to_jsonb(certificates) as certificates,
  email_attribute as "emailAttribute", name_attribute as "nameAttribute", groups_claim as "groupsClaim", role_map as "roleMap",
  default_role as "defaultRole", jit, version, created_at as "createdAt", updated_at as "updatedAt"`

/** As the database keeps both kinds; a constraint sees to it that each has what it needs. */
type Dated = 'kind' | 'createdAt' | 'updatedAt'
type Row = Omit<OidcProvider, Dated> &
  Omit<SamlProvider, Dated> & { kind: SsoProvider['kind']; createdAt: string; updatedAt: string }

async function ask(db: TenantDb, query: SQL): Promise<SsoProvider[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map(toProvider)
}

function toProvider(row: Row): SsoProvider {
  const { kind, clientId, clientAuth, clientSecret, scopes, ...others } = row
  const { signInUrl, certificates, emailAttribute, nameAttribute, ...rest } = others
  const both = { ...rest, createdAt: new Date(rest.createdAt), updatedAt: new Date(rest.updatedAt) }
  return kind === 'oidc'
    ? { ...both, kind, clientId, clientAuth, clientSecret, scopes }
    : { ...both, kind, signInUrl, certificates, emailAttribute, nameAttribute }
}

const textArray = (texts: readonly string[]) =>
  sql`array(select jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb))`

/** What the kinds have of their own, in one order for both. */
const ownColumns = sql`client_id, client_auth, client_secret, scopes, sign_in_url, certificates, email_attribute, name_attribute`
const ownValues = (provider: NewSsoProvider) =>
  provider.kind === 'oidc'
    ? sql`${provider.clientId}, ${provider.clientAuth}, ${provider.clientSecret}, ${textArray(provider.scopes)}, null,
        '{}'::text[], null, null`
    : sql`null, null, null, '{}'::text[], ${provider.signInUrl}, ${textArray(provider.certificates)},
        ${provider.emailAttribute}, ${provider.nameAttribute}`

type Unsaved = 'version' | 'createdAt' | 'updatedAt'
export type NewSsoProvider = Omit<OidcProvider, Unsaved> | Omit<SamlProvider, Unsaved>

export async function insertSsoProvider(db: TenantDb, provider: NewSsoProvider): Promise<SsoProvider> {
  const { id, kind, name, issuer, groupsClaim, defaultRole, jit } = provider
  const [made] = await ask(
    db,
    sql`insert into sso_providers (tenant_id, id, kind, name, issuer, groups_claim, role_map, default_role, jit, ${ownColumns})
      values (${db.tenantId}, ${id}, ${kind}, ${name}, ${issuer}, ${groupsClaim}, ${JSON.stringify(provider.roleMap)}::jsonb,
        ${defaultRole}, ${jit}, ${ownValues(provider)})
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

/** Writes it anew where the version still is the one that the caller saw; of which kind it is stays. */
export async function updateSsoProvider(
  db: TenantDb,
  version: number,
  provider: NewSsoProvider,
): Promise<SsoProvider | undefined> {
  const { id, kind, name, issuer, groupsClaim, defaultRole, jit } = provider
  const [changed] = await ask(
    db,
    sql`update sso_providers set name = ${name}, issuer = ${issuer}, groups_claim = ${groupsClaim},
        role_map = ${JSON.stringify(provider.roleMap)}::jsonb, default_role = ${defaultRole}, jit = ${jit},
        (${ownColumns}) = row(${ownValues(provider)}), version = version + 1, updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and kind = ${kind} and version = ${version}
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
