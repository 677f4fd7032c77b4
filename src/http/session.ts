import type { Context } from 'hono'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import type { Role } from '#src/domain/role.ts'
import type { ApiEnv } from './api.ts'
import { setSessionCookies } from './cookies.ts'
import { accessTokenMs } from './tokens.ts'

/** Gives a session its access token: in the answer for programs, in cookies for the console. */
export async function giveTokens(
  c: Context<ApiEnv>,
  session: {
    tenantId: TenantId
    userId: UserId
    sessionId: Id<'session'>
    role: Role
    refreshToken: string
    expiresAt: Date
  },
) {
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

/** One sentence outside; the true reason only in the log. */
export function refuse(c: Context<ApiEnv>, reason: string, detail: string): never {
  c.get('log').reason = reason
  throw new Problem('unauthenticated', detail)
}
