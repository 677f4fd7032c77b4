import { openFactorChallenge } from '#src/db/factors.ts'
import { sha256, toBase64Url } from '#src/domain/digest.ts'
import type { TenantId, UserId } from '#src/domain/id.ts'
import type { Services } from './context.ts'

/** A sign-in that waits for its second step; the token is good for ten minutes and one session. */
export type Challenge = {
  readonly token: string
  readonly factors: readonly ('totp' | 'passkey' | 'recovery')[]
  /** The tenant demands a factor and the person has none: the token lets them set one up and finish with it. */
  readonly enrol: boolean
}

export const challengeMs = 10 * 60_000

/**
 * What must still be shown before a session may be opened: nothing when a second factor is among `amr` already (`otp`,
 * `passkey`, `recovery`, or `mfa` where an identity provider vouches for it), or when the person has none and the tenant
 * asks for none.
 */
export async function challengeFor(
  services: Services,
  asked: { userId: UserId; tenantId: TenantId; role: string; amr: readonly string[] },
): Promise<Challenge | undefined> {
  const now = services.now()
  const token = newChallengeToken()
  const opened = await openFactorChallenge(services.database, {
    ...asked,
    tokenHash: await sha256(token),
    now,
    expiresAt: new Date(now.getTime() + challengeMs),
  })
  return opened && { token, ...opened }
}

const newChallengeToken = (): string =>
  `weir_challenge_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`
