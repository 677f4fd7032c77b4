import {
  beginTotp,
  findChallenge,
  finishChallenge,
  finishEnrolment,
  noteRefusedFactor,
  type NewFactor,
} from '#src/db/factors.ts'
import { findPasskey, usePasskey } from '#src/db/passkeys.ts'
import type { RequestOrigin } from '#src/domain/audit.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id, type TenantId, type UserId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRecoveryCodes, recoveryCodeHash } from '#src/domain/recovery-code.ts'
import type { Services } from './context.ts'
import { sealFactor } from './factor-secrets.ts'
import { sendMail } from './mail.ts'
import { newTotpSecret } from './one-time-codes.ts'
import {
  readRegistration,
  readSignature,
  registrationOptions,
  signingOptions,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
} from './passkeys.ts'
import { begunTotp, proofOf, type Shown } from './proofs.ts'
import { completeSignIn, type SignIn } from './sessions.ts'

type Origin = Partial<RequestOrigin>

/** The reason is for the log; the caller learns only that it failed. */
type Refused = { ok: false; reason: string }

/** Ends a sign-in whose token was given for the second step. */
export async function finishSignIn(
  services: Services,
  { token, shown }: { token: string; shown: Shown },
  origin: Origin,
): Promise<SignIn> {
  const tokenHash = await sha256(token)
  const challenge = await findChallenge(services.database, tokenHash, services.now())
  if (!challenge) return { ok: false, reason: 'challenge_over' }
  if (challenge.enrol) return { ok: false, reason: 'factor_not_enrolled' }
  const ceremony = { purpose: 'second', begunBy: tokenHash } as const
  const asker = { by: services.database, at: 'sign-in', origin } as const
  const proof = await proofOf(services, challenge.userId, shown, ceremony, asker)
  if (!proof) return { ok: false, reason: 'factor_wrong' }
  const passed = await finishChallenge(services.database, tokenHash, proof, services.now(), origin)
  if (!passed) return { ok: false, reason: 'factor_used' }
  if (proof.kind === 'recovery') await tellOfRecovery(services, passed.email)
  const method = proof.kind === 'totp' ? 'otp' : proof.kind
  return completeSignIn(services, { ...passed, amr: [...passed.amr, method], ...clientIn(origin) })
}

/** A recovery code leaves its owner a mail: whoever did not use it themselves learns of it. */
export const tellOfRecovery = (services: Services, email: string): Promise<void> =>
  sendMail(services, {
    to: email,
    template: 'security',
    data: {
      subject: 'A recovery code was used',
      text: 'Somebody signed in to Weir, or confirmed that it is you, with one of your recovery codes. It cannot be used again.',
      link: new URL('/security', services.env.PUBLIC_URL).href,
    },
  })

/** Sets a factor up in the middle of a sign-in to a tenant that demands one, and ends the sign-in with it. */
export async function enrolAndSignIn(
  services: Services,
  {
    token,
    shown,
  }: { token: string; shown: { code: string } | { passkey: RegistrationResponseJSON; name: string } },
  origin: Origin,
): Promise<{ signIn: SignIn; recoveryCodes: string[] }> {
  const refuse = (reason: string) => ({ signIn: { ok: false, reason } as const, recoveryCodes: [] })
  const enrolment = await findEnrolment(services, token)
  if (!enrolment) return refuse('challenge_over')
  const { userId, tokenHash } = enrolment
  const factor: NewFactor | undefined =
    'code' in shown
      ? await begunTotp(services, userId, tokenHash, shown.code, {
          by: services.database,
          at: 'enrolment',
          origin,
        })
      : await readRegistration(services, shown.passkey, tokenHash, shown.name)
  if (!factor) return refuse('factor_wrong')
  const { codes, hashes } = await recoveryCodesFor(userId)
  const added = await finishEnrolment(services.database, tokenHash, factor, hashes, services.now())
  if (!added) return refuse('enrolment_over')
  const { email, tenantId } = added
  const amr = [...added.amr, factor.kind === 'totp' ? 'otp' : 'passkey']
  const signIn = await completeSignIn(services, { userId, email, tenantId, amr, ...clientIn(origin) })
  return { signIn, recoveryCodes: added.recovery ? codes : [] }
}

export async function recoveryCodesFor(userId: UserId): Promise<{ codes: string[]; hashes: string[] }> {
  const codes = newRecoveryCodes()
  return { codes, hashes: await Promise.all(codes.map((code) => recoveryCodeHash(userId, code))) }
}

export type BegunTotp = { id: Id<'factor'>; secret: string; uri: string }

/** Begins one-time codes for a sign-in that must enrol; undefined when its token is no good. */
export async function beginTotpForSignIn(services: Services, token: string): Promise<BegunTotp | undefined> {
  const found = await findEnrolment(services, token)
  return found && beginTotpFor(services, { ...found, begunBy: found.tokenHash, name: 'Authenticator app' })
}

/** The only time that the secret leaves us. */
export async function beginTotpFor(
  services: Services,
  { userId, email, begunBy, name }: { userId: UserId; email: string; begunBy: string; name: string },
): Promise<BegunTotp> {
  const now = services.now()
  const id = newId('factor', now)
  const made = await newTotpSecret(email)
  const secret = await sealFactor(services.env, `${userId} ${id}`, made.secret)
  if (!(await beginTotp(services.database, { userId, id, name, secret, begunBy, now })))
    throw tooManyFactors()
  return { id, ...made }
}

export const tooManyFactors = () =>
  new Problem(
    'conflict',
    'This could not be added: it is there already, or there are twenty. Remove one first.',
  )

/** What the browser is asked for by the second step: a signature, or a new passkey where one must be made. */
export async function passkeyForSignIn(services: Services, token: string) {
  const tokenHash = await sha256(token)
  const challenge = await findChallenge(services.database, tokenHash, services.now())
  if (!challenge) return undefined
  return challenge.enrol
    ? { registration: await registrationOptions(services, challenge.userId, tokenHash) }
    : {
        authentication: await signingOptions(services, challenge.userId, {
          purpose: 'second',
          begunBy: tokenHash,
        }),
      }
}

const alone = { purpose: 'first', begunBy: '' } as const

export const passkeyAlone = (services: Services) => signingOptions(services, undefined, alone)

/** A passkey that has verified its user is something one has and something one is or knows: both factors at once. */
export async function signInWithPasskey(
  services: Services,
  input: { passkey: AuthenticationResponseJSON; tenantId?: TenantId | undefined },
  origin: Origin,
): Promise<SignIn> {
  const signed = await readSignature(services, input.passkey, alone)
  if (!signed) {
    const known = await findPasskey(services.database, input.passkey.id)
    if (known)
      await noteRefusedFactor({ by: services.database, at: 'sign-in', origin }, known.userId, 'passkey')
    return { ok: false, reason: 'passkey_refused' }
  }
  const { passkey, count } = signed
  if (!(await usePasskey(services.database, passkey, count, services.now(), origin))) return refusedCount
  const { userId, email } = passkey
  const { tenantId } = input
  return completeSignIn(services, { userId, email, tenantId, amr: ['passkey'], ...clientIn(origin) })
}

const clientIn = ({ address, userAgent }: Origin) => ({
  ...(address === undefined ? {} : { address }),
  ...(userAgent === undefined ? {} : { userAgent }),
})

const refusedCount: Refused = { ok: false, reason: 'passkey_count' }

async function findEnrolment(
  services: Services,
  token: string,
): Promise<{ userId: UserId; email: string; tokenHash: string } | undefined> {
  const tokenHash = await sha256(token)
  const found = await findChallenge(services.database, tokenHash, services.now())
  return found?.enrol ? { userId: found.userId, email: found.email, tokenHash } : undefined
}
