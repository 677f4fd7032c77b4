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
import type { ClientAuth, SsoProvider, SsoRole } from '#src/domain/sso.ts'
import { allow, type Context } from '../context.ts'
import { refuseBeyond } from '../members.ts'
import { refreshTenantRecord } from '../tenant-record.ts'

type Given = {
  name: string
  issuer: string
  clientId: string
  clientAuth?: ClientAuth | undefined
  clientSecret?: string | undefined
  scopes: string[]
  groupsClaim: string | null
  roleMap: { group: string; role: SsoRole }[]
  defaultRole: SsoRole | null
  jit: boolean
}
export type ProviderChange = { [K in keyof Given]?: Given[K] | undefined }

export async function createProvider(ctx: Context, input: Given): Promise<SsoProvider> {
  allow(ctx, 'sso:write')
  const id = newId('ssoProvider', ctx.now())
  const { clientSecret, ...rest } = input
  const clientAuth = input.clientAuth ?? (clientSecret === undefined ? 'none' : 'basic')
  refuseWithoutSecret(clientAuth, clientSecret !== undefined)
  await refuseHost(ctx, input.issuer)
  refuseGiving(ctx, input)
  return insertSsoProvider(ctx.tenantDb, {
    ...rest,
    id,
    clientAuth,
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
  const { clientSecret, ...rest } = change
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const wanted: SsoProvider = { ...current, ...given }
  if (wanted.issuer !== current.issuer) {
    await refuseHost(ctx, wanted.issuer)
    if (current.clientSecret !== null && clientSecret === undefined)
      throw invalid('clientSecret', 'must be given again when issuer changes')
  }
  refuseGiving(ctx, change)
  const sealed = clientSecret === undefined ? current.clientSecret : await sealSecret(ctx, id, clientSecret)
  refuseWithoutSecret(wanted.clientAuth, sealed !== null)
  const changed = await updateSsoProvider(ctx.tenantDb, current.version, { ...wanted, clientSecret: sealed })
  if (!changed) throw stale()
  return changed
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

const invalid = (path: string, message: string) =>
  new Problem('invalid', 'Some fields are not valid.', { fields: [{ path, message }] })

const sealSecret = (ctx: Context, id: Id<'ssoProvider'>, secret: string): Promise<string> =>
  ctx.services.secrets.seal(ctx.tenantDb, id, JSON.stringify(secret))

function refuseWithoutSecret(clientAuth: ClientAuth, hasSecret: boolean): void {
  if (clientAuth !== 'none' && !hasSecret)
    throw invalid('clientSecret', `is needed where clientAuth is ${clientAuth}`)
}

/** Says at once what every later request would be refused for. */
async function refuseHost(ctx: Context, issuer: string): Promise<void> {
  const [{ publicUrl }, { StepFailure }] = await Promise.all([
    import('#src/connectors/public-url.ts'),
    import('#src/domain/failure.ts'),
  ])
  const { publicUrl: ownUrl, allowPrivateHosts: allowPrivate } = ctx.services
  try {
    await publicUrl(issuer, { ownUrl, allowPrivate })
  } catch (error) {
    if (error instanceof StepFailure) throw invalid('issuer', error.message)
    throw error
  }
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
  const provider = await getSsoProvider(ctx.tenantDb, id)
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
