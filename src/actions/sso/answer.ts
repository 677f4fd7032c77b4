import { getSsoProvider } from '#src/db/sso-providers.ts'
import { claimAnswer, findSso, keepAnswer, noteSsoRefusal } from '#src/db/sso-sign-ins.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { Id } from '#src/domain/id.ts'
import { notFound } from '#src/domain/problem.ts'
import { samlPlace, SamlFailure } from '#src/domain/saml.ts'
import type { Services } from '../context.ts'
import {
  actor,
  answerSealedAs,
  random,
  sealedAs,
  type Client,
  type Kept,
  type SsoRefusal,
} from './sign-in.ts'

const stateShape = /^[A-Za-z0-9_-]{43}$/

/**
 * Takes what a provider of SAML makes the browser post from its own site, where our cookie does not come along. So nobody is
 * signed in here: whom the assertion vouches for is kept, sealed, in the row of the sign-in that it answers, until the browser
 * that began comes back by itself with its cookie. It must be the browser that posted this, too, and shows that by what only
 * this answer tells it: otherwise whoever began could have somebody else sign in for them. A row takes one answer, right or
 * wrong, and that is what lets an assertion in once.
 */
export async function answerSaml(
  services: Services,
  providerId: Id<'ssoProvider'>,
  form: URLSearchParams,
  from: Client,
): Promise<{ outcome: 'kept'; state: string; told: string } | SsoRefusal> {
  const [[answer, another], [state, other]] = [form.getAll('SAMLResponse'), form.getAll('RelayState')]
  if (answer === undefined || another !== undefined || other !== undefined)
    return { outcome: 'refused', word: 'failed', reason: 'sso_no_answer' }
  // What a provider's own start page sends: another sign-in than the one that somebody began could be slipped in like this.
  if (state === undefined || !stateShape.test(state))
    return { outcome: 'refused', word: 'begin_here', reason: 'sso_unsolicited' }
  const stateHash = await sha256(state)
  const attempt = await claimAnswer(services.database, stateHash, providerId)
  if (!attempt) return { outcome: 'refused', word: 'expired', reason: 'state_unknown' }
  const db = services.database.tenant(attempt.tenantId, actor)
  const kept = JSON.parse(await services.secrets.unseal(db, sealedAs(stateHash), attempt.sealed)) as Kept
  const provider = await getSsoProvider(db, providerId)
  if (provider.kind !== 'saml' || !('requestId' in kept))
    return { outcome: 'refused', word: 'expired', reason: 'sso_other_kind' }
  const { believe } = await import('./saml.ts')
  try {
    const place = samlPlace(services.publicUrl, providerId)
    const person = await believe(provider, answer, { place, requestId: kept.requestId, now: services.now() })
    const sealed = await services.secrets.seal(db, answerSealedAs(stateHash), JSON.stringify(person))
    const told = random()
    if (await keepAnswer(db, stateHash, sealed, await sha256(told))) return { outcome: 'kept', state, told }
    return { outcome: 'refused', word: 'expired', reason: 'state_unknown' }
  } catch (error) {
    if (!(error instanceof SamlFailure)) throw error
    await noteSsoRefusal(db, providerId, error.code, { ...from, detail: error.message.slice(0, 300) })
    const word = error.code === 'unsolicited' ? 'begin_here' : 'failed'
    return { outcome: 'refused', word, reason: `sso_${error.code}` }
  }
}

/** What a provider of SAML is told of us. It holds nothing that whoever knows the provider's id does not know. */
export async function readSamlMetadata(services: Services, providerId: Id<'ssoProvider'>): Promise<string> {
  const [place, { serviceProviderMetadata }] = await Promise.all([
    findSso(services.database, { providerId }),
    import('#src/domain/saml-messages.ts'),
  ])
  if (place?.kind !== 'saml') throw notFound('provider')
  return serviceProviderMetadata(samlPlace(services.publicUrl, providerId))
}
