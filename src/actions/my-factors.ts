import {
  enrolFactor,
  listFactors,
  removeFactor,
  renameFactor,
  renewRecoveryCodes,
  resetFactors,
  type Factors,
  type NewFactor,
} from '#src/db/factors.ts'
import { passkeysOf } from '#src/db/passkeys.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { beginTotpFor, recoveryCodesFor, tooManyFactors, type BegunTotp } from './factor-sign-in.ts'
import { sendMail } from './mail.ts'
import { readRegistration, registrationOptions, type RegistrationResponseJSON } from './passkeys.ts'
import { begunTotp } from './proofs.ts'
import { personOf, requireFreshProof } from './step-up.ts'

export const readFactors = (ctx: Context): Promise<Factors> =>
  listFactors(ctx.services.database, personOf(ctx).userId)

export async function beginTotp(ctx: Context, name: string): Promise<BegunTotp> {
  await requireFreshProof(ctx)
  const { userId, sessionId } = personOf(ctx)
  const { email } = await passkeysOf(ctx.services.database, userId)
  return beginTotpFor(ctx.services, { userId, email, begunBy: sessionId, name })
}

export type Enrolled = { id: Id<'factor'>; recoveryCodes: string[] }

/** Confirms what this session began, with a code that the app shows now. */
export async function confirmTotp(ctx: Context, code: string): Promise<Enrolled> {
  const { userId, sessionId } = personOf(ctx)
  const factor = await begunTotp(ctx.services, userId, sessionId, code, { by: ctx.tenantDb, at: 'enrolment' })
  if (!factor)
    throw new Problem('invalid', 'Some fields are not valid.', {
      fields: [
        { path: 'code', message: 'is not what the app should show now; is the clock of the phone right?' },
      ],
    })
  return enrol(ctx, factor)
}

export async function beginPasskey(ctx: Context) {
  await requireFreshProof(ctx)
  const { userId, sessionId } = personOf(ctx)
  return registrationOptions(ctx.services, userId, sessionId)
}

export async function addPasskey(
  ctx: Context,
  input: { name: string; passkey: RegistrationResponseJSON },
): Promise<Enrolled> {
  const { sessionId } = personOf(ctx)
  const factor = await readRegistration(ctx.services, input.passkey, sessionId, input.name)
  if (!factor) throw new Problem('invalid', 'This passkey is not what was asked for; begin again.')
  return enrol(ctx, factor)
}

async function enrol(ctx: Context, factor: NewFactor): Promise<Enrolled> {
  const { userId, sessionId } = personOf(ctx)
  const { codes, hashes } = await recoveryCodesFor(userId)
  const who = { tenantId: ctx.tenantId, userId, begunBy: sessionId }
  const added = await enrolFactor(ctx.tenantDb, who, factor, hashes, ctx.now())
  if (!added) throw tooManyFactors()
  return { id: added.id, recoveryCodes: added.recovery ? codes : [] }
}

export async function nameFactor(ctx: Context, id: Id<'factor'>, name: string): Promise<void> {
  if (!(await renameFactor(ctx.services.database, personOf(ctx).userId, id, name))) throw notFound('factor')
}

export async function deleteFactor(ctx: Context, id: Id<'factor'>): Promise<void> {
  await requireFreshProof(ctx)
  const who = { tenantId: ctx.tenantId, userId: personOf(ctx).userId }
  const outcome = await removeFactor(ctx.tenantDb, who, id)
  if (outcome === 'last')
    throw new Problem(
      'conflict',
      'Your role demands a second factor and this is your last one; add another first.',
    )
  if (!outcome) throw notFound('factor')
}

/** Ten new codes; the earlier ones are worthless from now on. */
export async function replaceRecoveryCodes(ctx: Context): Promise<string[]> {
  await requireFreshProof(ctx)
  const { userId } = personOf(ctx)
  const { codes, hashes } = await recoveryCodesFor(userId)
  if (!(await renewRecoveryCodes(ctx.tenantDb, { tenantId: ctx.tenantId, userId }, hashes)))
    throw new Problem('conflict', 'Recovery codes stand in for a factor; add one first.')
  return codes
}

/** For a member who has lost every factor. */
export async function resetMemberFactors(ctx: Context, userId: UserId): Promise<void> {
  allow(ctx, 'members:write')
  if (ctx.actor.kind === 'user') await requireFreshProof(ctx)
  const done = await resetFactors(ctx.tenantDb, userId)
  switch (done?.outcome) {
    case 'reset':
      return sendMail(ctx.services, {
        to: done.email,
        template: 'security',
        data: {
          subject: 'Your second factors were removed',
          text: 'An admin of your tenant removed every second factor of your account: codes, passkeys and recovery codes.',
          link: new URL('/security', ctx.services.env.PUBLIC_URL).href,
        },
      })
    case 'owner':
      throw new Problem('forbidden', 'Only an owner can reset the factors of an owner.', { noted: true })
    case 'self':
      throw new Problem('conflict', 'Your own factors are changed under /v1/me/factors.')
    case 'elsewhere':
      throw new Problem(
        'conflict',
        'This person is in another tenant as well, which relies on the same factors; a recovery code is their way in.',
      )
    case undefined:
      throw notFound('member')
  }
}
