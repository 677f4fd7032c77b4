import type { Context } from 'hono'
import type { OpenSession, Session, SignIn } from '#src/actions/sessions.ts'
import type { Client } from '#src/db/sessions.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'
import { setSessionCookies } from './cookies.ts'
import { forgetAttemptsOf, rememberDevice, type Attempt } from './device.ts'
import { created } from './reply.ts'
import { accessTokenMs } from './tokens.ts'

/** Gives a session its access token: in the answer for programs, in cookies for the console. */
export async function giveTokens(c: Context<ApiEnv>, session: OpenSession) {
  const { services, tokens } = c.get('gate')
  const { refreshToken, expiresAt } = session
  const issued = await tokens.issue(session)
  setSessionCookies(c, {
    accessToken: issued.accessToken,
    accessTokenMs,
    refreshToken,
    refreshTokenMs: expiresAt.getTime() - services.now().getTime(),
  })
  return { ...issued, refreshToken, refreshTokenExpiresAt: expiresAt.toISOString() }
}

/** What a session remembers of where it was opened and is used. */
export function clientOf(c: Context<ApiEnv>): Client {
  const address = c.env?.address
  const userAgent = c.req.header('user-agent')
  return {
    ...(address === undefined ? {} : { address }),
    ...(userAgent === undefined ? {} : { userAgent }),
  }
}

/**
 * Answers a sign-in, whichever way it went: tokens, the second factor that is still to be shown, or a refusal.
 * @param wrong what somebody is told who is none of the tenant's or does not exist
 */
export async function answerSignIn(
  c: Context<ApiEnv>,
  found: SignIn,
  wrong = 'This sign-in does not lead into that tenant.',
  attempt?: Attempt,
  more: { recoveryCodes?: string[] } = {},
) {
  // The password was right: its attempts are over, whatever becomes of the second factor.
  if (found.ok === 'challenge' && attempt) await forgetAttemptsOf(c, attempt)
  if (found.ok === 'challenge') return c.json({ challenge: found.challenge }, 200)
  if (!found.ok) {
    if (found.reason !== 'sso_required') refuse(c, found.reason, wrong)
    c.get('log').reason = found.reason
    throw new Problem('forbidden', 'This organisation wants you to sign in with its own provider.')
  }
  return giveSession(c, found.session, attempt, more)
}

/** 201 with a session's tokens, and who is signed in where. */
export async function giveSession(
  c: Context<ApiEnv>,
  given: Session,
  attempt?: Attempt,
  more: { recoveryCodes?: string[] } = {},
) {
  const { tenant, user, tenants, ...session } = given
  const tokens = await giveTokens(c, { ...session, tenantId: tenant.id, userId: user.id })
  const device = await rememberDevice(c, attempt ?? { email: user.email })
  return created(c, '/v1/me', { tenant, user, tenants, ...tokens, device, ...more })
}

/** One sentence outside; the true reason only in the log. */
export function refuse(c: Context<ApiEnv>, reason: string, detail: string): never {
  c.get('log').reason = reason
  throw new Problem('unauthenticated', detail)
}
