import { count } from '#src/cache/limit.ts'
import { noteRefusedFactor, tryCode, type Asker, type Proof, type Secret } from '#src/db/factors.ts'
import type { Ceremony } from '#src/db/passkeys.ts'
import type { UserId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { recoveryCodeHash } from '#src/domain/recovery-code.ts'
import type { Services } from './context.ts'
import { unsealFactor } from './factor-secrets.ts'
import { stepOfCode } from './one-time-codes.ts'
import { readSignature, type AuthenticationResponseJSON } from './passkeys.ts'

/** What somebody shows as their second factor. */
export type Shown = { code: string } | { recoveryCode: string } | { passkey: AuthenticationResponseJSON }

/**
 * What it proves, if it is right; that it is used only once is for the statement that uses it. What is wrong is noted here,
 * what cannot be used any more by that statement.
 */
export async function proofOf(
  services: Services,
  userId: UserId,
  shown: Shown,
  ceremony: Ceremony,
  asker: Asker,
): Promise<Proof | undefined> {
  if ('passkey' in shown) {
    const signed = await readSignature(services, shown.passkey, ceremony)
    if (signed?.passkey.userId === userId)
      return { kind: 'passkey', id: signed.passkey.id, count: signed.count }
    await noteRefusedFactor(asker, userId, 'passkey')
    return undefined
  }
  const secrets = await countTry(services, userId, asker)
  if ('recoveryCode' in shown)
    return { kind: 'recovery', hash: await recoveryCodeHash(userId, shown.recoveryCode) }
  return totp(services, userId, secrets, shown.code, asker)
}

/** The factor that the person is setting up, when the code is one of its codes. */
export async function begunTotp(
  services: Services,
  userId: UserId,
  begunBy: string,
  code: string,
  asker: Asker,
): Promise<{ kind: 'totp'; id: string; step: number } | undefined> {
  return totp(services, userId, await countTry(services, userId, asker, begunBy), code, asker)
}

async function totp(
  services: Services,
  userId: UserId,
  secrets: readonly Secret[],
  code: string,
  asker: Asker,
): Promise<{ kind: 'totp'; id: string; step: number } | undefined> {
  const found = await matching(services, userId, secrets, code)
  if (found) return { kind: 'totp', ...found }
  await noteRefusedFactor(asker, userId, 'totp')
  return undefined
}

/** Five tries in five minutes, counted twice: what one forgets the other knows, and without either nobody tries. */
async function countTry(
  services: Services,
  userId: UserId,
  asker: Asker,
  begunBy?: string,
): Promise<Secret[]> {
  await countStrictly(services, `public:factor:${userId}`)
  const secrets = await tryCode(asker, userId, begunBy, services.now())
  if (!secrets) throw tooMany(services.limits.factor.windowMs)
  return secrets
}

/** One of five tries in five minutes; without Redis there is none. */
export async function countStrictly({ cache, limits, now }: Services, owner: string): Promise<void> {
  let counted
  try {
    counted = await count(cache, [{ policy: limits.factor, owner }], now())
  } catch (cause) {
    const detail = 'A service that Weir needs does not answer; try again soon.'
    throw new Problem('unavailable', detail, { retryAfterMs: 5_000, cause })
  }
  if (!counted.allowed) throw tooMany(counted.standing.resetMs)
}

const tooMany = (retryAfterMs: number) =>
  new Problem('limited', 'Too many tries; wait a few minutes.', { retryAfterMs })

async function matching(
  { env, now }: Services,
  userId: UserId,
  secrets: readonly Secret[],
  code: string,
): Promise<{ id: string; step: number } | undefined> {
  for (const { id, secret, lastStep } of secrets) {
    const step = await stepOfCode(await unsealFactor(env, `${userId} ${id}`, secret), code, now())
    if (step !== undefined && step > lastStep) return { id, step }
  }
  return undefined
}
