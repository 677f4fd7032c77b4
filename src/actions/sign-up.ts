import { insertSignUp } from '#src/db/users.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRefreshToken } from '#src/domain/refresh-token.ts'
import type { Services } from './context.ts'
import { hashPassword } from './passwords.ts'
import { sessionMs, type Session } from './sessions.ts'

/** A new tenant, the person who owns it, and their first session. */
export async function signUp(
  services: Services,
  input: { tenantName: string; email: string; password: string },
): Promise<Session> {
  const now = services.now()
  const tenantId = newId('tenant', now)
  const userId = newId('user', now)
  const sessionId = newId('session', now)
  const refreshToken = newRefreshToken()
  const expiresAt = new Date(now.getTime() + sessionMs)
  const made = await insertSignUp(services.database, {
    tenantId,
    tenantName: input.tenantName,
    userId,
    email: input.email,
    passwordHash: await hashPassword(input.password),
    sessionId,
    tokenHash: await sha256(refreshToken),
    expiresAt,
  })
  if (!made) throw new Problem('conflict', 'This address has an account already; sign in instead.')
  return {
    tenant: { id: tenantId, name: input.tenantName },
    user: { id: userId, email: input.email },
    role: 'owner',
    sessionId,
    refreshToken,
    expiresAt,
  }
}
