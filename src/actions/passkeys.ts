import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import type { NewFactor } from '#src/db/factors.ts'
import {
  beginCeremony,
  endCeremony,
  findPasskey,
  passkeysOf,
  type Ceremony,
  type Passkey,
} from '#src/db/passkeys.ts'
import { fromBase64Url, toBase64Url } from '#src/domain/digest.ts'
import { newId, type UserId } from '#src/domain/id.ts'
import type { Services } from './context.ts'

export type { AuthenticationResponseJSON, RegistrationResponseJSON }

const patienceMs = 5 * 60_000

/** Who we are to an authenticator: it signs for this site and no other. */
function siteOf({ env }: Services): { rpID: string; origin: string } {
  const { hostname, origin } = new URL(env.PUBLIC_URL)
  return { rpID: hostname, origin }
}

/** What the browser is asked to make a passkey with. */
export async function registrationOptions(
  services: Services,
  userId: UserId,
  begunBy: string,
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const { generateRegistrationOptions } = await import('@simplewebauthn/server')
  const { email, passkeys } = await passkeysOf(services.database, userId)
  const options = await generateRegistrationOptions({
    rpName: 'Weir',
    rpID: siteOf(services).rpID,
    userName: email,
    userDisplayName: email,
    userID: Uint8Array.from(new TextEncoder().encode(userId)),
    timeout: patienceMs,
    excludeCredentials: passkeys,
    authenticatorSelection: { residentKey: 'preferred', userVerification: 'preferred' },
    // EdDSA, ES256 and RS256: what every runtime of ours can check.
    supportedAlgorithmIDs: [-8, -7, -257],
  })
  await begin(services, options.challenge, { purpose: 'register', begunBy })
  return options
}

/** The passkey that the browser made, or undefined when it is not what was asked for. */
export async function readRegistration(
  services: Services,
  response: RegistrationResponseJSON,
  begunBy: string,
  name: string,
): Promise<(NewFactor & { kind: 'passkey' }) | undefined> {
  const challenge = await end(services, response.response.clientDataJSON, { purpose: 'register', begunBy })
  if (challenge === undefined) return undefined
  const { verifyRegistrationResponse } = await import('@simplewebauthn/server')
  const { rpID, origin } = siteOf(services)
  const verified = await verifyRegistrationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: false,
    supportedAlgorithmIDs: [-8, -7, -257],
  }).catch(() => undefined)
  if (!verified?.verified) return undefined
  const { credential } = verified.registrationInfo
  return {
    kind: 'passkey',
    id: newId('factor', services.now()),
    name,
    credentialId: credential.id,
    publicKey: toBase64Url(credential.publicKey),
    count: credential.counter,
    transports: credential.transports ?? [],
  }
}

/** What the browser is asked to sign with: one of the person's passkeys, or whichever the person chooses. */
export async function signingOptions(
  services: Services,
  userId: UserId | undefined,
  ceremony: Ceremony,
): Promise<PublicKeyCredentialRequestOptionsJSON> {
  const { generateAuthenticationOptions } = await import('@simplewebauthn/server')
  const options = await generateAuthenticationOptions({
    rpID: siteOf(services).rpID,
    timeout: patienceMs,
    userVerification: userId === undefined ? 'required' : 'preferred',
    ...(userId === undefined
      ? {}
      : { allowCredentials: (await passkeysOf(services.database, userId)).passkeys }),
  })
  await begin(services, options.challenge, ceremony)
  return options
}

/**
 * Whose passkey signed, and how often it has by its own count; undefined when anything is not as it must be. A count that
 * does not grow betrays a copied authenticator. Without a password before it the authenticator must have verified its user.
 */
export async function readSignature(
  services: Services,
  response: AuthenticationResponseJSON,
  ceremony: Ceremony,
): Promise<{ passkey: Passkey; count: number } | undefined> {
  const challenge = await end(services, response.response.clientDataJSON, ceremony)
  if (challenge === undefined) return undefined
  const passkey = await findPasskey(services.database, response.id)
  const publicKey = passkey && fromBase64Url(passkey.publicKey)
  if (!publicKey) return undefined
  const { verifyAuthenticationResponse } = await import('@simplewebauthn/server')
  const { rpID, origin } = siteOf(services)
  const verified = await verifyAuthenticationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    credential: { id: response.id, publicKey, counter: passkey.count },
    requireUserVerification: ceremony.purpose === 'first',
  }).catch(() => undefined)
  return verified?.verified ? { passkey, count: verified.authenticationInfo.newCounter } : undefined
}

function begin(services: Services, challenge: string, ceremony: Ceremony): Promise<void> {
  const now = services.now()
  return beginCeremony(services.database, challenge, ceremony, now, new Date(now.getTime() + patienceMs))
}

/** The challenge that was signed, once, when it is one of ours for this purpose. */
async function end(services: Services, clientData: string, ceremony: Ceremony): Promise<string | undefined> {
  const challenge = challengeIn(clientData)
  if (challenge === undefined) return undefined
  const stands = await endCeremony(services.database, challenge, ceremony, services.now())
  return stands ? challenge : undefined
}

function challengeIn(clientData: string): string | undefined {
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(fromBase64Url(clientData)))
    if (typeof read !== 'object' || read === null || !('challenge' in read)) return undefined
    return typeof read.challenge === 'string' ? read.challenge : undefined
  } catch {
    return undefined
  }
}
