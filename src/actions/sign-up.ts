import type { Client } from '#src/db/sessions.ts'
import { insertSignUp } from '#src/db/users.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRefreshToken } from '#src/domain/refresh-token.ts'
import { prepareLink } from './account-links.ts'
import { refuseKnownPassword } from './breached.ts'
import type { Services } from './context.ts'
import { hashPassword } from './passwords.ts'
import { clientOf, sessionMs, type Session } from './sessions.ts'

/**
 * A new tenant, the person who owns it, and their first session; a mail asks them to prove the address.
 * @returns also how the mail is announced, once the answer is on its way
 */
export async function signUp(
  services: Services,
  input: { tenantName: string; email: string; password: string } & Client,
): Promise<{ session: Session; announce: () => Promise<void> }> {
  await refuseKnownPassword(services, input.password)
  const now = services.now()
  const tenantId = newId('tenant', now)
  const userId = newId('user', now)
  const sessionId = newId('session', now)
  const refreshToken = newRefreshToken()
  const expiresAt = new Date(now.getTime() + sessionMs)
  const link = await prepareLink(services, 'verify', input.email)
  const made = await insertSignUp(services.database, {
    tenantId,
    tenantName: input.tenantName,
    userId,
    email: input.email,
    passwordHash: await hashPassword(input.password, services.passwordCost),
    sessionId,
    tokenHash: await sha256(refreshToken),
    expiresAt,
    client: clientOf(input),
    link: {
      tokenHash: link.tokenHash,
      expiresAt: link.expiresAt,
      mailId: link.mail.id,
      sealed: link.mail.sealed,
    },
  })
  if (!made) throw new Problem('conflict', 'This address has an account already; sign in instead.')
  const tenant = { id: tenantId, name: input.tenantName }
  return {
    session: {
      tenant,
      user: { id: userId, email: input.email },
      role: 'owner',
      sessionId,
      refreshToken,
      expiresAt,
      tenants: [{ ...tenant, role: 'owner' }],
    },
    announce: link.mail.announce,
  }
}
