import type { AuthorizationServer, Client, ClientAuth } from 'oauth4webapi'
import { publicFetch } from '#src/connectors/public-fetch.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { groupsOf, type OidcProvider, type Vouched } from '#src/domain/sso.ts'
import type { Services } from '../context.ts'

/** Loaded by those who sign in like this: a Worker starts without it. */
const oauth = () => import('oauth4webapi')

const patienceMs = 8_000
const mostBytes = 256 * 1024

/** What the provider did wrong, in words for the tenant's log. */
export class OidcFailure extends Error {
  override readonly name = 'OidcFailure'
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

type Settled = { opened: OidcProvider; secret: string | undefined; redirectUri: string }

async function requestOptions(services: Services) {
  const { customFetch, allowInsecureRequests } = await oauth()
  const guarded = publicFetch({
    ownUrl: services.publicUrl,
    allowPrivate: services.allowPrivateHosts,
    mostBytes,
    patienceMs,
  })
  return {
    [customFetch]: (url: string, init: object) => guarded(url, init),
    // Only where the guard lets http pass too, which is on a laptop.
    [allowInsecureRequests]: services.allowPrivateHosts,
  }
}

/** Asked anew each time, so that a rotated key or a moved endpoint holds at once in every isolate. */
export async function discover(services: Services, issuer: string): Promise<AuthorizationServer> {
  const { discoveryRequest, processDiscoveryResponse } = await oauth()
  return explained(async () => {
    const url = new URL(issuer)
    const answer = await discoveryRequest(url, await requestOptions(services))
    const server = await processDiscoveryResponse(url, answer)
    if (!isText(server.authorization_endpoint) || !isText(server.token_endpoint) || !isText(server.jwks_uri))
      throw new OidcFailure(
        'discovery_incomplete',
        'The provider names no authorization_endpoint, token_endpoint or jwks_uri.',
      )
    if (server.response_types_supported?.includes('code') === false)
      throw new OidcFailure('no_code_flow', 'The provider does not support response_type=code.')
    return server
  })
}

/** Everything that a sign-in needs of the provider short of somebody signing in. */
export async function checkProvider(services: Services, provider: OidcProvider): Promise<string[]> {
  const server = await discover(services, provider.issuer)
  const guarded = publicFetch({
    ownUrl: services.publicUrl,
    allowPrivate: services.allowPrivateHosts,
    mostBytes,
    patienceMs,
  })
  await explained(async () => {
    const answer = await guarded(server.jwks_uri ?? '', { headers: { Accept: 'application/json' } })
    const { keys } = (await answer.json()) as { keys?: unknown }
    if (!answer.ok || !Array.isArray(keys) || keys.length === 0)
      throw new OidcFailure('no_keys', 'The provider publishes no keys at its jwks_uri.')
    const { publicUrl } = await import('#src/connectors/public-url.ts')
    const options = { ownUrl: services.publicUrl, allowPrivate: services.allowPrivateHosts }
    for (const url of [server.token_endpoint, server.authorization_endpoint, server.userinfo_endpoint])
      if (url !== undefined) await publicUrl(url, options)
  })
  const method = { basic: 'client_secret_basic', post: 'client_secret_post', none: 'none' }[
    provider.clientAuth
  ]
  const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return [
    ...(methods.includes(method) ? [] : [`The provider does not list ${method} among its client methods.`]),
    ...(server.code_challenge_methods_supported?.includes('S256') === false
      ? ['The provider does not list S256 among its PKCE methods.']
      : []),
    ...(server.scopes_supported?.includes('email') === false
      ? ['The provider does not list the scope email; without a verified address nobody is recognised.']
      : []),
  ]
}

/** Where to send the browser, and what must be kept until it comes back. */
export async function authorizationUrl(
  services: Services,
  provider: OidcProvider,
  request: { redirectUri: string; state: string; loginHint?: string | undefined },
): Promise<{ url: string; nonce: string; verifier: string }> {
  const { generateRandomCodeVerifier, generateRandomNonce, calculatePKCECodeChallenge } = await oauth()
  const server = await discover(services, provider.issuer)
  const [nonce, verifier] = [generateRandomNonce(), generateRandomCodeVerifier()]
  const url = await explained(async () => {
    const { publicUrl } = await import('#src/connectors/public-url.ts')
    return publicUrl(server.authorization_endpoint ?? '', {
      ownUrl: services.publicUrl,
      allowPrivate: services.allowPrivateHosts,
    })
  })
  const parameters = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: request.redirectUri,
    scope: [...new Set(['openid', 'email', 'profile', ...provider.scopes])].join(' '),
    state: request.state,
    nonce,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(request.loginHint === undefined ? {} : { login_hint: request.loginHint }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return { url: url.href, nonce, verifier }
}

/** Exchanges what the browser brought back, and believes nothing that is not signed for us. */
export async function redeem(
  services: Services,
  { opened: provider, secret, redirectUri }: Settled,
  parameters: URLSearchParams,
  kept: { state: string; nonce: string; verifier: string },
): Promise<Vouched> {
  const lib = await oauth()
  const options = await requestOptions(services)
  const server = await discover(services, provider.issuer)
  const client: Client = { client_id: provider.clientId, [lib.clockTolerance]: 30 }
  return explained(async () => {
    const shown = lib.validateAuthResponse(server, client, parameters, kept.state)
    const answer = await lib.authorizationCodeGrantRequest(
      server,
      client,
      clientAuthOf(lib, provider, secret),
      shown,
      redirectUri,
      kept.verifier,
      options,
    )
    const tokens = await lib.processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: kept.nonce,
      requireIdToken: true,
    })
    await lib.validateApplicationLevelSignature(server, answer, options)
    const claims = lib.getValidatedIdTokenClaims(tokens)
    if (!claims) throw new OidcFailure('no_id_token', 'The provider gave no id_token.')
    const { groupsClaim } = provider
    const isComplete =
      saysAddress(claims) && (groupsClaim === null || claimAt(claims, groupsClaim) !== undefined)
    const more =
      isComplete || server.userinfo_endpoint === undefined
        ? {}
        : await lib.processUserInfoResponse(
            server,
            client,
            claims.sub,
            await lib.userInfoRequest(server, client, tokens.access_token, options),
          )
    // Address and its verification are of one source: a token's address is not verified by what is said of another.
    const address = saysAddress(claims) || !('email' in more) ? claims : more
    const { email, email_verified, xms_edov } = address as Record<string, unknown>
    return vouched(provider, { ...more, ...claims, email, email_verified, xms_edov })
  })
}

const clientAuthOf = (
  lib: Awaited<ReturnType<typeof oauth>>,
  { clientAuth }: OidcProvider,
  secret: string | undefined,
): ClientAuth => {
  if (clientAuth === 'none') return lib.None()
  return clientAuth === 'post' ? lib.ClientSecretPost(secret ?? '') : lib.ClientSecretBasic(secret ?? '')
}

const saysAddress = (claims: Readonly<Record<string, unknown>>): boolean =>
  claims['email'] !== undefined &&
  (claims['email_verified'] !== undefined || claims['xms_edov'] !== undefined)

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** A claim by its name, or by the path to it: `realm_access.roles`. */
function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let at: unknown = claims
  for (const part of name.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = Object.getOwnPropertyDescriptor(at, part)?.value
  }
  return at
}

function vouched(provider: OidcProvider, claims: Readonly<Record<string, unknown>>): Vouched {
  const { groupsClaim } = provider
  const elsewhere = claims['_claim_names']
  // Microsoft leaves the groups out where there are too many: that is not the same as being in none.
  if (
    groupsClaim !== null &&
    typeof elsewhere === 'object' &&
    elsewhere !== null &&
    Object.hasOwn(elsewhere, groupsClaim)
  )
    throw new OidcFailure(
      'too_many_groups',
      'The provider left the groups out, being too many; let it send only those assigned to the application.',
    )
  const subject = claims['sub']
  if (!isText(subject) || subject.length > 255)
    throw new OidcFailure('bad_subject', 'The provider gave no subject, or one of more than 255 characters.')
  const { email, amr, name } = claims
  return {
    subject,
    email: isText(email) && email.length <= 254 && /^[^\s@]+@[^\s@]+$/.test(email) ? email.trim() : undefined,
    emailVerified: isYes(claims['email_verified']) || isYes(claims['xms_edov']),
    name: isText(name) && !/\p{Cc}/u.test(name) ? name.slice(0, 255) : undefined,
    groups: groupsClaim === null ? [] : groupsOf(claimAt(claims, groupsClaim)),
    amr: [
      ...(Array.isArray(amr) ? amr.filter((one) => isText(one) && /^[a-z0-9_-]{1,20}$/i.test(one)) : []),
      ...(isText(claims['acr']) && claims['acr'].length <= 100 ? [`acr:${claims['acr']}`] : []),
    ].slice(0, 10) as string[],
  }
}

/** Some providers write booleans as text, Microsoft its own one as a number. */
const isYes = (value: unknown): boolean => value === true || value === 'true' || value === 1 || value === '1'

/** Turns what the library and the network throw into one kind, free of tokens and codes. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OidcFailure) throw error
    if (error instanceof StepFailure) throw new OidcFailure(error.code, error.message, error)
    const { code, error: told } = error as { code?: unknown; error?: unknown }
    const at = causeOf(error)
    if (at) throw new OidcFailure(at.code, at.message, error)
    if (code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' || told === 'invalid_client')
      throw new OidcFailure(
        'client_refused',
        'The provider refuses the client id or the client secret.',
        error,
      )
    const said = isText(told) && /^[a-z_]{1,40}$/.test(told) ? ` (${told})` : ''
    if (isText(code) && code.startsWith('OAUTH_'))
      throw new OidcFailure(
        code.slice(6).toLowerCase(),
        `${error instanceof Error ? error.message : ''}${said}`,
        error,
      )
    if (error instanceof TypeError || error instanceof SyntaxError)
      throw new OidcFailure('malformed', 'The provider answered with what cannot be understood.', error)
    throw error
  }
}

const causeOf = (error: unknown): StepFailure | undefined => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof StepFailure) return at
  return undefined
}
