import { cacheSessionEnds } from '#src/cache/sessions.ts'
import { getSsoProvider } from '#src/db/sso-providers.ts'
import { arrive, findSso, insertAttempt, noteSsoRefusal, takeAttempt } from '#src/db/sso-sign-ins.ts'
import { sha256, toBase64Url } from '#src/domain/digest.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { domainOfAddress, ownPath } from '#src/domain/sso.ts'
import type { Services } from '../context.ts'
import { markMember } from '../members.ts'
import { completeSignIn } from '../sessions.ts'

/** From leaving for the provider to coming back. */
const attemptMs = 10 * 60 * 1000
const actor = 'job:sso'

type Kept = { nonce: string; verifier: string; returnTo: string }

const redirectUriOf = (services: Services) => new URL('/v1/sso/callback', services.publicUrl).href

const random = () => toBase64Url(crypto.getRandomValues(new Uint8Array(32)))

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
  const { authorizationUrl } = await import('./oidc.ts')
  const state = random()
  const { url, nonce, verifier } = await failing(
    authorizationUrl(services, provider, {
      redirectUri: redirectUriOf(services),
      state,
      loginHint: input.email,
    }),
  )
  const bound = browser ?? random()
  const stateHash = await sha256(state)
  const kept: Kept = { nonce, verifier, returnTo }
  await insertAttempt(db, {
    stateHash,
    browserHash: await sha256(bound),
    providerId: provider.id,
    sealed: await services.secrets.seal(db, `sso ${stateHash}`, JSON.stringify(kept)),
    expiresAt: new Date(services.now().getTime() + attemptMs),
  })
  return { authorizationUrl: url, browser: bound, lastsMs: attemptMs }
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
export type SsoEnd =
  | { outcome: 'signed-in'; result: SignedIn; returnTo: string }
  /** The word is for the page, the reason for the log. */
  | { outcome: 'refused'; word: 'expired' | 'failed' | 'not_allowed'; reason: string }

/** Finishes what startSso began, once. */
export async function finishSso(
  services: Services,
  parameters: URLSearchParams,
  browser: string | undefined,
  from: { address?: string | undefined; userAgent?: string | undefined },
): Promise<SsoEnd> {
  const state = parameters.get('state')
  if (state === null || browser === undefined || parameters.getAll('state').length > 1)
    return { outcome: 'refused', word: 'expired', reason: browser === undefined ? 'no_cookie' : 'no_state' }
  const stateHash = await sha256(state)
  const taken = await takeAttempt(services.database, stateHash, await sha256(browser))
  if (!taken) return { outcome: 'refused', word: 'expired', reason: 'state_unknown' }
  const db = services.database.tenant(taken.tenantId, actor)
  const kept = JSON.parse(await services.secrets.unseal(db, `sso ${stateHash}`, taken.sealed)) as Kept
  const provider = await getSsoProvider(db, taken.providerId)
  const secret =
    provider.clientSecret === null
      ? undefined
      : (JSON.parse(await services.secrets.unseal(db, provider.id, provider.clientSecret)) as string)
  const { redeem, OidcFailure } = await import('./oidc.ts')
  let person: Awaited<ReturnType<typeof redeem>>
  try {
    const settled = { opened: provider, secret, redirectUri: redirectUriOf(services) }
    person = await redeem(services, settled, parameters, { ...kept, state })
  } catch (error) {
    if (!(error instanceof OidcFailure)) throw error
    await noteSsoRefusal(db, provider.id, error.code, { ...from, detail: error.message.slice(0, 300) })
    return { outcome: 'refused', word: 'failed', reason: `sso_${error.code}` }
  }
  const arrival = await arrive(db, {
    ...person,
    providerId: provider.id,
    newUserId: newId('user', services.now()),
  })
  if (arrival.outcome === 'refused') {
    const { userId, reason } = arrival
    await noteSsoRefusal(db, provider.id, reason, { ...from, userId, subject: person.subject })
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
