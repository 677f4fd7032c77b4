import { cacheSessionEnds } from '#src/cache/sessions.ts'
import { getSsoProvider } from '#src/db/sso-providers.ts'
import {
  arrive,
  findSso,
  insertAttempt,
  noteSsoRefusal,
  takeAttempt,
  type TakenAttempt,
} from '#src/db/sso-sign-ins.ts'
import type { TenantDb } from '#src/db/database.ts'
import { sha256, toBase64Url, toHex } from '#src/domain/digest.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { samlPlace } from '#src/domain/saml.ts'
import {
  domainOfAddress,
  ownPath,
  type OidcProvider,
  type SsoProvider,
  type Vouched,
} from '#src/domain/sso.ts'
import type { Services } from '../context.ts'
import { markMember } from '../members.ts'
import { completeSignIn } from '../sessions.ts'

/** From leaving for the provider to coming back. */
const attemptMs = 10 * 60 * 1000
export const actor = 'job:sso'

/** What the way back is held against; of OpenID Connect or of SAML. */
type Proof = { nonce: string; verifier: string } | { requestId: string }
export type Kept = Proof & { returnTo: string }

/** What the sealed parts of a sign-in under way are bound to. */
export const sealedAs = (stateHash: string): string => `sso ${stateHash}`
export const answerSealedAs = (stateHash: string): string => `sso answer ${stateHash}`

const redirectUriOf = (services: Services) => new URL('/v1/sso/callback', services.publicUrl).href

/** What nobody can guess. */
export const random = (): string => toBase64Url(crypto.getRandomValues(new Uint8Array(32)))

/**
 * Begins a sign-in at the provider of an address's domain, or at a given one. What the callback needs is in the database, so
 * that any isolate can finish, and bound to the browser by a secret that only its cookie holds.
 */
export async function startSso(
  services: Services,
  input: {
    email?: string | undefined
    providerId?: Id<'ssoProvider'> | undefined
    returnTo?: string | undefined
  },
  browser: string | undefined,
): Promise<{ authorizationUrl: string; browser: string; lastsMs: number }> {
  const returnTo = input.returnTo === undefined ? '/' : ownPath(input.returnTo, services.publicUrl)
  if (returnTo === undefined)
    throw new Problem('invalid', 'Some fields are not valid.', {
      fields: [{ path: 'returnTo', message: 'must be a path of this site' }],
    })
  const domain = input.email === undefined ? undefined : domainOfAddress(input.email)
  const place =
    input.providerId !== undefined
      ? await findSso(services.database, { providerId: input.providerId })
      : domain === undefined
        ? undefined
        : await findSso(services.database, { domain })
  if (!place) throw notFound('single sign-on')
  const db = services.database.tenant(place.tenantId, actor)
  const provider = await getSsoProvider(db, place.providerId)
  const state = random()
  const { url, proof } = await leave(services, provider, state, input.email)
  const bound = browser ?? random()
  const stateHash = await sha256(state)
  const kept: Kept = { ...proof, returnTo }
  await insertAttempt(db, {
    stateHash,
    browserHash: await sha256(bound),
    providerId: provider.id,
    sealed: await services.secrets.seal(db, sealedAs(stateHash), JSON.stringify(kept)),
    expiresAt: new Date(services.now().getTime() + attemptMs),
  })
  return { authorizationUrl: url, browser: bound, lastsMs: attemptMs }
}

async function leave(
  services: Services,
  provider: SsoProvider,
  state: string,
  loginHint: string | undefined,
): Promise<{ url: string; proof: Proof }> {
  if (provider.kind === 'saml') {
    const { requestUrl } = await import('./saml.ts')
    // An id of XML begins with no digit.
    const requestId = `_${toHex(crypto.getRandomValues(new Uint8Array(20)))}`
    const place = samlPlace(services.publicUrl, provider.id)
    const url = await requestUrl(provider, { place, requestId, state, at: services.now() })
    return { url, proof: { requestId } }
  }
  const { authorizationUrl } = await import('./oidc.ts')
  const { url, ...proof } = await failing(
    authorizationUrl(services, provider, { redirectUri: redirectUriOf(services), state, loginHint }),
  )
  return { url, proof }
}

/** The caller is nobody yet, so what exactly is wrong is for the tenant's own check to say. */
async function failing<T>(work: Promise<T>): Promise<T> {
  const { OidcFailure } = await import('./oidc.ts')
  try {
    return await work
  } catch (error) {
    if (!(error instanceof OidcFailure)) throw error
    throw new Problem(
      'unavailable',
      'The identity provider cannot be used just now; tell your administrator.',
      {
        cause: error,
      },
    )
  }
}

type SignedIn = Awaited<ReturnType<typeof completeSignIn>>
export type SsoEnd = { outcome: 'signed-in'; result: SignedIn; returnTo: string } | SsoRefusal
/** The word is for the page, the reason for the log. */
export type SsoRefusal = {
  outcome: 'refused'
  word: 'expired' | 'failed' | 'not_allowed' | 'begin_here'
  reason: string
}

/** Where the browser is, for the log. */
export type Client = { address?: string | undefined; userAgent?: string | undefined }

/** Finishes what startSso began, once. */
export async function finishSso(
  services: Services,
  parameters: URLSearchParams,
  browser: string | undefined,
  from: Client,
): Promise<SsoEnd> {
  const state = parameters.get('state')
  if (state === null || browser === undefined || parameters.getAll('state').length > 1)
    return { outcome: 'refused', word: 'expired', reason: browser === undefined ? 'no_cookie' : 'no_state' }
  const stateHash = await sha256(state)
  const told = parameters.get('answer')
  const answerHash = told === null ? undefined : await sha256(told)
  const taken = await takeAttempt(services.database, stateHash, await sha256(browser), answerHash)
  if (!taken) return { outcome: 'refused', word: 'expired', reason: 'state_unknown' }
  const db = services.database.tenant(taken.tenantId, actor)
  const kept = JSON.parse(await services.secrets.unseal(db, sealedAs(stateHash), taken.sealed)) as Kept
  const person =
    'requestId' in kept
      ? await answered(services, db, stateHash, taken)
      : await redeemed(services, db, taken, parameters, { ...kept, state }, from)
  if ('outcome' in person) return person
  const { providerId } = taken
  const arrival = await arrive(db, { ...person, providerId, newUserId: newId('user', services.now()) })
  if (arrival.outcome === 'refused') {
    const { userId, reason } = arrival
    await noteSsoRefusal(db, providerId, reason, { ...from, userId, subject: person.subject })
    if (arrival.removed && arrival.userId)
      await markMember(services, taken.tenantId, arrival.userId, 'gone', arrival.keys)
    return { outcome: 'refused', word: 'not_allowed', reason: `sso_${reason}` }
  }
  await cacheSessionEnds(services.cache, arrival.ended)
  // Also for who is new: they may have been marked as gone a minute ago.
  if (arrival.was !== arrival.role)
    await markMember(services, taken.tenantId, arrival.userId, arrival.role, arrival.keys)
  const result = await completeSignIn(services, {
    userId: arrival.userId,
    email: arrival.email,
    tenantId: taken.tenantId,
    // Under names of their own: only `mfa` is the provider's to vouch for, and only in its own tenant.
    amr: ['sso', ...(person.amr.includes('mfa') ? ['mfa'] : []), ...person.amr.map((one) => `idp:${one}`)],
    ...(from.address === undefined ? {} : { address: from.address }),
    ...(from.userAgent === undefined ? {} : { userAgent: from.userAgent }),
  })
  return { outcome: 'signed-in', result, returnTo: ownPath(kept.returnTo, services.publicUrl) ?? '/' }
}

/** Whom the form of a provider of SAML has vouched for, as src/actions/sso/answer.ts found and kept it. */
async function answered(
  services: Services,
  db: TenantDb,
  stateHash: string,
  { answer }: TakenAttempt,
): Promise<Vouched | SsoRefusal> {
  if (answer === null) return { outcome: 'refused', word: 'expired', reason: 'sso_not_answered' }
  return JSON.parse(await services.secrets.unseal(db, answerSealedAs(stateHash), answer)) as Vouched
}

/** Whom a provider of OpenID Connect vouches for, for what the browser brought back. */
async function redeemed(
  services: Services,
  db: TenantDb,
  taken: TakenAttempt,
  parameters: URLSearchParams,
  kept: { state: string; nonce: string; verifier: string },
  from: Client,
): Promise<Vouched | SsoRefusal> {
  const provider = await getSsoProvider(db, taken.providerId)
  if (provider.kind !== 'oidc') return { outcome: 'refused', word: 'expired', reason: 'sso_other_kind' }
  const { redeem, OidcFailure } = await import('./oidc.ts')
  try {
    const settled = {
      opened: provider,
      secret: await secretOf(services, db, provider),
      redirectUri: redirectUriOf(services),
    }
    return await redeem(services, settled, parameters, kept)
  } catch (error) {
    if (!(error instanceof OidcFailure)) throw error
    await noteSsoRefusal(db, provider.id, error.code, { ...from, detail: error.message.slice(0, 300) })
    return { outcome: 'refused', word: 'failed', reason: `sso_${error.code}` }
  }
}

async function secretOf(
  services: Services,
  db: TenantDb,
  { id, clientSecret }: OidcProvider,
): Promise<string | undefined> {
  return clientSecret === null
    ? undefined
    : (JSON.parse(await services.secrets.unseal(db, id, clientSecret)) as string)
}
