import { cacheSessionEnds } from '#src/cache/sessions.ts'
import {
  changeEmail,
  changePassword as changePasswordRow,
  findLink,
  findSelf,
  keepEmailChange,
  keepLinkFor,
  keepVerification,
  resetPassword as resetPasswordRow,
  undoEmailChange as undoEmailChangeRow,
  useSignInLink,
  verifyEmail as verifyEmailRow,
  type Self,
} from '#src/db/account-links.ts'
import type { Client } from '#src/db/sessions.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { TenantId } from '#src/domain/id.ts'
import { isLinkToken } from '#src/domain/link-token.ts'
import { Problem } from '#src/domain/problem.ts'
import { prepareLink, unusable } from './account-links.ts'
import { refuseKnownPassword } from './breached.ts'
import type { Context, Services } from './context.ts'
import { prepareMail } from './mail.ts'
import { hashPassword, verifyPassword } from './passwords.ts'
import { enter, sessionOf, type SignIn } from './sessions.ts'

/** What is still to be done once the answer is on its way, so that its time tells nobody whether there was anything. */
export type Afterwards = () => Promise<void>
const nothing: Afterwards = () => Promise.resolve()

/** Mails a link to sign in, or to choose a new password, to whoever has the address. The same work when nobody has it. */
export async function askForLink(
  services: Services,
  purpose: 'link' | 'reset',
  email: string,
): Promise<Afterwards> {
  const link = await prepareLink(services, purpose, email)
  return (await keepLinkFor(services.database, email, purpose, link)) ? link.mail.announce : nothing
}

/** Signs in with a mailed link, once. */
export async function signInWithLink(
  services: Services,
  input: { token: string; tenantId?: TenantId | undefined } & Client,
): Promise<SignIn> {
  if (!isLinkToken(input.token)) throw unusable()
  const login = await useSignInLink(services.database, await sha256(input.token))
  if (!login) throw unusable()
  await cacheSessionEnds(services.cache, login.ended)
  return enter(services, login, { ...input, amr: ['link'] })
}

/** A new password by a mailed link. Every session of the person ends, and a mail says so. */
export async function resetPassword(
  services: Services,
  input: { token: string; password: string },
): Promise<Afterwards> {
  const tokenHash = await sha256(input.token)
  const found = isLinkToken(input.token) ? await findLink(services.database, tokenHash, 'reset') : undefined
  // Hashing is dear: nobody makes us do it with a token that is none.
  if (!found) throw unusable()
  await refuseKnownPassword(services, input.password)
  const mail = await passwordMail(services, found.email)
  const done = await resetPasswordRow(
    services.database,
    tokenHash,
    await hashPassword(input.password, services.passwordCost),
    mail,
  )
  if (!done) throw unusable()
  await cacheSessionEnds(services.cache, done.ended)
  return mail.announce
}

/** Sends the caller the mail that proves their address, unless it is proved. */
export async function askForVerification(ctx: Context): Promise<Afterwards> {
  const { email } = await ownAccount(ctx)
  const link = await prepareLink(ctx.services, 'verify', email)
  return (await keepVerification(ctx.tenantDb, email, link)) ? link.mail.announce : nothing
}

export async function verifyEmail(services: Services, token: string): Promise<{ email: string }> {
  const done = isLinkToken(token) ? await verifyEmailRow(services.database, await sha256(token)) : undefined
  if (!done) throw unusable()
  return done
}

/** The caller's new password, for whoever knows the old one. The other sessions end, and a mail says so. */
export async function changePassword(
  ctx: Context,
  input: { oldPassword: string; password: string },
): Promise<Afterwards> {
  const { sessionId } = sessionOf(ctx)
  const self = await ownAccount(ctx)
  await refuseWrongPassword(ctx, self, input.oldPassword, 'oldPassword')
  await refuseKnownPassword(ctx.services, input.password)
  const mail = await passwordMail(ctx.services, self.email)
  const ended = await changePasswordRow(ctx.tenantDb, {
    was: self.passwordHash,
    passwordHash: await hashPassword(input.password, ctx.services.passwordCost),
    keep: sessionId,
    mail,
  })
  if (!ended) throw new Problem('conflict', 'The password was changed by somebody else just now.')
  await cacheSessionEnds(ctx.services.cache, ended)
  return mail.announce
}

/** Asks the new address whether it is the caller's. Says nothing of who has it. */
export async function askForEmailChange(
  ctx: Context,
  input: { email: string; password: string },
): Promise<Afterwards> {
  const self = await ownAccount(ctx)
  await refuseWrongPassword(ctx, self, input.password, 'password')
  const link = await prepareLink(ctx.services, 'change', input.email, {
    template: 'change',
    email: self.email,
  })
  const emails = { now: self.email, next: input.email }
  return (await keepEmailChange(ctx.tenantDb, emails, link)) ? link.mail.announce : nothing
}

/** The address that the link went to becomes the account's; the one before is told, and may undo it. */
export async function confirmEmailChange(
  services: Services,
  token: string,
): Promise<{ email: string; afterwards: Afterwards }> {
  const tokenHash = await sha256(token)
  const found = isLinkToken(token) ? await findLink(services.database, tokenHash, 'change') : undefined
  if (!found || found.emailBefore === null) throw unusable()
  const undo = await prepareLink(services, 'undo', found.emailBefore, {
    template: 'undo',
    email: found.email,
  })
  const done = await changeEmail(services.database, tokenHash, undo)
  if (!done) throw unusable()
  return { ...done, afterwards: undo.mail.announce }
}

/** The address before is the account's again; there is no session and no password any more, and a link to choose one. */
export async function undoEmailChange(services: Services, token: string): Promise<Afterwards> {
  const tokenHash = await sha256(token)
  const found = isLinkToken(token) ? await findLink(services.database, tokenHash, 'undo') : undefined
  if (!found) throw unusable()
  const reset = await prepareLink(services, 'reset', found.email, { template: 'undone' })
  const done = await undoEmailChangeRow(services.database, tokenHash, reset)
  if (!done) throw unusable()
  await cacheSessionEnds(services.cache, done.ended)
  return reset.mail.announce
}

async function ownAccount(ctx: Context): Promise<Self> {
  sessionOf(ctx)
  const self = await findSelf(ctx.tenantDb)
  if (!self) throw new Problem('forbidden', 'You are not a member of this tenant any more.')
  return self
}

async function refuseWrongPassword(
  ctx: Context,
  { passwordHash }: Self,
  password: string,
  path: string,
): Promise<void> {
  if (passwordHash === null)
    throw new Problem('conflict', 'Your account has no password; ask for a link to choose one.')
  if ((await verifyPassword(password, passwordHash, ctx.services.passwordCost)).ok) return
  throw new Problem('invalid', 'Some fields are not valid.', {
    fields: [{ path, message: 'is not your password' }],
  })
}

const passwordMail = (services: Services, to: string) =>
  prepareMail(services, {
    to,
    template: 'password-changed',
    data: {
      at: `${services.now().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
      link: `${services.publicUrl}/reset`,
    },
  })
