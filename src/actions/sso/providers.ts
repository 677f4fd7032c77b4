import type { CheckResult } from '#src/connectors/connector.ts'
import {
  deleteIdentity,
  deleteSsoProvider,
  getSsoProvider,
  insertSsoProvider,
  listSsoProviders,
  updateSsoProvider,
} from '#src/db/sso-providers.ts'
import { setRequireSso } from '#src/db/sso-sign-ins.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ClientAuth, OidcProvider, SamlProvider, SsoProvider, SsoRole } from '#src/domain/sso.ts'
import { allow, type Context } from '../context.ts'
import { refuseBeyond } from '../members.ts'
import { refreshTenantRecord } from '../tenant-record.ts'
import { trial } from '../trials.ts'
import { invalidField, refuseHost } from './fields.ts'
import type { GivenSaml } from './saml-settings.ts'

type Both = {
  name: string
  groupsClaim: string | null
  roleMap: { group: string; role: SsoRole }[]
  defaultRole: SsoRole | null
  jit: boolean
}
type GivenOidc = {
  issuer: string
  clientId: string
  clientAuth?: ClientAuth | undefined
  clientSecret?: string | undefined
  scopes: string[]
}
type Attributes = { emailAttribute: string | null; nameAttribute: string | null }
type NewProvider = Both & (({ kind: 'oidc' } & GivenOidc) | ({ kind: 'saml' } & GivenSaml & Attributes))
type Changed<T> = { [K in keyof T]?: T[K] | undefined }
/** What a change may say; what is of the other kind than the provider is refused. */
export type ProviderChange = Changed<Both & GivenOidc & GivenSaml & Attributes>

const ofOidc: readonly (keyof ProviderChange)[] = [
  'issuer',
  'clientId',
  'clientAuth',
  'clientSecret',
  'scopes',
]
const ofSaml: readonly (keyof ProviderChange)[] = [
  'metadata',
  'entityId',
  'signInUrl',
  'certificates',
  'emailAttribute',
  'nameAttribute',
]

/** Loaded by those who set up SAML: it reads XML and certificates. */
const samlSettings = () => import('./saml-settings.ts')

export async function createProvider(ctx: Context, input: NewProvider): Promise<SsoProvider> {
  allow(ctx, 'sso:write')
  const id = newId('ssoProvider', ctx.now())
  refuseGiving(ctx, input)
  const { name, groupsClaim, roleMap, defaultRole, jit } = input
  const both = { id, name, groupsClaim, roleMap, defaultRole, jit }
  if (input.kind === 'saml') {
    const { settleSaml } = await samlSettings()
    const settled = await settleSaml(ctx.services, input)
    const { emailAttribute, nameAttribute } = input
    return insertSsoProvider(ctx.tenantDb, {
      ...both,
      kind: 'saml',
      ...settled,
      emailAttribute,
      nameAttribute,
    })
  }
  const { issuer, clientId, scopes, clientSecret } = input
  const clientAuth = input.clientAuth ?? (clientSecret === undefined ? 'none' : 'basic')
  refuseWithoutSecret(clientAuth, clientSecret !== undefined)
  await refuseHost(ctx.services, 'issuer', issuer)
  return insertSsoProvider(ctx.tenantDb, {
    ...both,
    kind: 'oidc',
    issuer,
    clientId,
    clientAuth,
    scopes,
    clientSecret: clientSecret === undefined ? null : await sealSecret(ctx, id, clientSecret),
  })
}

/** Changes what is given. The secret, which nobody can see, is only for the issuer that it was given for. */
export async function updateProvider(
  ctx: Context,
  id: Id<'ssoProvider'>,
  expected: readonly number[] | 'any',
  change: ProviderChange,
): Promise<SsoProvider> {
  allow(ctx, 'sso:write')
  const current = await getSsoProvider(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(current.version)) throw stale()
  const foreign = (current.kind === 'oidc' ? ofSaml : ofOidc).find((field) => change[field] !== undefined)
  if (foreign !== undefined)
    throw invalidField(foreign, `is nothing that a provider of the kind ${current.kind} has`)
  refuseGiving(ctx, change)
  const wanted =
    current.kind === 'oidc'
      ? await changedOidc(ctx, current, change)
      : await changedSaml(ctx, current, change)
  const changed = await updateSsoProvider(ctx.tenantDb, current.version, wanted)
  if (!changed) throw stale()
  return changed
}

/** The fields of these names that are said, over what is there. */
function over<T extends object>(
  current: T,
  change: ProviderChange,
  names: readonly (keyof ProviderChange)[],
): T {
  const said = names.filter((name) => change[name] !== undefined)
  return { ...current, ...Object.fromEntries(said.map((name) => [name, change[name]])) }
}
const ofBoth: readonly (keyof ProviderChange)[] = ['name', 'groupsClaim', 'roleMap', 'defaultRole', 'jit']

async function changedOidc(
  ctx: Context,
  current: OidcProvider,
  change: ProviderChange,
): Promise<OidcProvider> {
  const { clientSecret } = change
  const wanted = over(current, change, [...ofBoth, 'issuer', 'clientId', 'clientAuth', 'scopes'])
  if (wanted.issuer !== current.issuer) {
    await refuseHost(ctx.services, 'issuer', wanted.issuer)
    if (current.clientSecret !== null && clientSecret === undefined)
      throw invalidField('clientSecret', 'must be given again when issuer changes')
  }
  const sealed =
    clientSecret === undefined ? current.clientSecret : await sealSecret(ctx, current.id, clientSecret)
  refuseWithoutSecret(wanted.clientAuth, sealed !== null)
  return { ...wanted, clientSecret: sealed }
}

async function changedSaml(
  ctx: Context,
  current: SamlProvider,
  change: ProviderChange,
): Promise<SamlProvider> {
  const { settleSaml } = await samlSettings()
  const settled = await settleSaml(ctx.services, change, current)
  return { ...over(current, change, [...ofBoth, 'emailAttribute', 'nameAttribute']), ...settled }
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

const sealSecret = (ctx: Context, id: Id<'ssoProvider'>, secret: string): Promise<string> =>
  ctx.services.secrets.seal(ctx.tenantDb, id, JSON.stringify(secret))

function refuseWithoutSecret(clientAuth: ClientAuth, hasSecret: boolean): void {
  if (clientAuth !== 'none' && !hasSecret)
    throw invalidField('clientSecret', `is needed where clientAuth is ${clientAuth}`)
}

/** Nobody gives by a group what they could not give by hand. */
function refuseGiving(
  ctx: Context,
  { roleMap = [], defaultRole }: Pick<ProviderChange, 'roleMap' | 'defaultRole'>,
): void {
  const roles = new Set([...roleMap.map(({ role }) => role), ...(defaultRole ? [defaultRole] : [])])
  for (const role of roles) refuseBeyond(ctx, role, 'You cannot give what you do not have')
}

export async function readProvider(ctx: Context, id: Id<'ssoProvider'>): Promise<SsoProvider> {
  allow(ctx, 'sso:read')
  return getSsoProvider(ctx.tenantDb, id)
}

export async function readProviders(ctx: Context, page: PageRequest): Promise<Page<SsoProvider>> {
  allow(ctx, 'sso:read')
  const found = await listSsoProviders(ctx.tenantDb, page.after?.[0], page.limit)
  return toPage(found, page.limit, ({ id }) => [id])
}

export async function deleteProvider(
  ctx: Context,
  id: Id<'ssoProvider'>,
  expected: readonly number[] | 'any',
): Promise<void> {
  allow(ctx, 'sso:write')
  if (!(await deleteSsoProvider(ctx.tenantDb, id, expected))) throw stale()
}

/** Asks the provider now; what is wrong with it is an answer, not an error. */
export async function checkProviderNow(
  ctx: Context,
  id: Id<'ssoProvider'>,
): Promise<CheckResult & { warnings?: string[] }> {
  allow(ctx, 'sso:write')
  const of = { verb: 'check', kind: 'sso-provider', table: 'sso_providers', id } as const
  return trial(ctx, of, () => checked(ctx, id))
}

async function checked(ctx: Context, id: Id<'ssoProvider'>): Promise<CheckResult & { warnings?: string[] }> {
  const provider = await getSsoProvider(ctx.tenantDb, id)
  if (provider.kind === 'saml') {
    const { checkSaml } = await samlSettings()
    return checkSaml(provider, ctx.now())
  }
  const { checkProvider, OidcFailure } = await import('./oidc.ts')
  try {
    const warnings = await checkProvider(ctx.services, provider)
    return {
      ok: true,
      detail: 'Discovery and keys can be read.',
      ...(warnings.length > 0 ? { warnings } : {}),
    }
  } catch (error) {
    if (error instanceof OidcFailure) return { ok: false, code: error.code, detail: error.message }
    throw error
  }
}

/** Forgets who somebody is at the provider, so that a new account there with their address can be theirs. */
export async function unlink(ctx: Context, id: Id<'ssoProvider'>, userId: Id<'user'>): Promise<void> {
  allow(ctx, 'sso:write')
  await deleteIdentity(ctx.tenantDb, id, userId)
}

/** Whether passwords and links are good enough for this tenant. */
export async function requireSso(ctx: Context, wanted: boolean): Promise<void> {
  allow(ctx, 'sso:write')
  if (!(await setRequireSso(ctx.tenantDb, wanted)))
    throw new Problem(
      'conflict',
      'Add a provider and verify a domain first; otherwise nobody could sign in any more.',
    )
  await refreshTenantRecord(ctx, ctx.tenantId)
}
