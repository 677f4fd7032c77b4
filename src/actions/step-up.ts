import { noteRefusedFactor, passwordOf, proveSession, sessionIsProved } from '#src/db/factors.ts'
import { passkeysOf } from '#src/db/passkeys.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import type { Context } from './context.ts'
import { tellOfRecovery } from './factor-sign-in.ts'
import { signingOptions } from './passkeys.ts'
import { verifyPassword } from './passwords.ts'
import { countStrictly, proofOf, type Shown } from './proofs.ts'

export const proofMs = 10 * 60_000

/** The person who asks: keys and jobs have no factors. */
export function personOf({ actor }: Context): { userId: UserId; sessionId: Id<'session'> } {
  if (actor.kind !== 'user') throw new Problem('forbidden', 'Only a signed-in person has factors.')
  return actor
}

/** Refuses a session that has not shown in the last ten minutes whose it is: what a stolen one must not be able to do. */
export async function requireFreshProof(ctx: Context): Promise<void> {
  if (await sessionIsProved(ctx.services.database, personOf(ctx), ctx.now())) return
  throw new Problem(
    'forbidden',
    'This needs a fresh proof that it is you: POST /v1/me/step-up, then try again.',
  )
}

export const stepUpOptions = (ctx: Context) => {
  const { userId, sessionId } = personOf(ctx)
  return signingOptions(ctx.services, userId, { purpose: 'step-up', begunBy: sessionId })
}

/** Proves it for ten minutes: by a factor, or by the password where there is no factor. */
export async function stepUp(ctx: Context, shown: Shown | { password: string }): Promise<Date> {
  const { services } = ctx
  const who = personOf(ctx)
  const now = ctx.now()
  const asker = { by: ctx.tenantDb, at: 'step-up' } as const
  const refused = new Problem('forbidden', 'This does not prove that it is you.', { noted: true })
  if ('password' in shown) {
    await countStrictly(services, `public:step-up:${who.userId}`)
    const stored = await passwordOf(services.database, who.userId)
    if (!(await verifyPassword(shown.password, stored, services.passwordCost)).ok) {
      await noteRefusedFactor(asker, who.userId, 'password')
      throw refused
    }
    if (!(await proveSession(ctx.tenantDb, who.sessionId, undefined, now)))
      throw new Problem('forbidden', 'You have a second factor; show that.', { noted: true })
  } else {
    const ceremony = { purpose: 'step-up', begunBy: who.sessionId } as const
    const proof = await proofOf(services, who.userId, shown, ceremony, asker)
    if (!proof || !(await proveSession(ctx.tenantDb, who.sessionId, proof, now))) throw refused
    if (proof.kind === 'recovery')
      await tellOfRecovery(services, (await passkeysOf(services.database, who.userId)).email)
  }
  return new Date(now.getTime() + proofMs)
}
