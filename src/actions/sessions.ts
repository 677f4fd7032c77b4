import { cacheSessionEnd } from '#src/cache/sessions.ts'
import { endSession, insertSession, rotateSession } from '#src/db/sessions.ts'
import { findLogin } from '#src/db/users.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id, type TenantId, type UserId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { isRefreshToken, newRefreshToken } from '#src/domain/refresh-token.ts'
import type { Role } from '#src/domain/role.ts'
import type { Context, Services } from './context.ts'
import { hashPassword, verifyPassword } from './passwords.ts'

/** From sign-in to the next sign-in, however often the tokens are exchanged in between. */
export const sessionMs = 30 * 24 * 60 * 60 * 1000

export type Session = {
  tenant: { id: TenantId; name: string }
  user: { id: UserId; email: string }
  role: Role
  sessionId: Id<'session'>
  refreshToken: string
  expiresAt: Date
}

/** Why not is for the log: a caller must not learn which accounts exist. */
export type SignIn = { ok: true; session: Session } | { ok: false; reason: string }

/** Opens a session in the given tenant, or in the one joined first. */
export async function signIn(
  services: Services,
  input: { email: string; password: string; tenantId?: TenantId | undefined },
): Promise<SignIn> {
  const login = await findLogin(services.database, input.email)
  const verdict = await verifyPassword(input.password, login?.passwordHash)
  if (!login) return { ok: false, reason: 'account_unknown' }
  if (!verdict.ok) return { ok: false, reason: 'password_wrong' }
  const tenant = login.tenants.find(({ id }) => input.tenantId === undefined || id === input.tenantId)
  if (!tenant) return { ok: false, reason: 'not_a_member' }
  const now = services.now()
  const sessionId = newId('session', now)
  const refreshToken = newRefreshToken()
  const expiresAt = new Date(now.getTime() + sessionMs)
  const opened = await insertSession(services.database, {
    tenantId: tenant.id,
    userId: login.userId,
    sessionId,
    tokenHash: await sha256(refreshToken),
    expiresAt,
    ...(verdict.outdated ? { passwordHash: await hashPassword(input.password) } : {}),
  })
  if (!opened) return { ok: false, reason: 'not_a_member' }
  return {
    ok: true,
    session: {
      tenant: { id: tenant.id, name: tenant.name },
      user: { id: login.userId, email: login.email },
      role: tenant.role,
      sessionId,
      refreshToken,
      expiresAt,
    },
  }
}

type Renewed = {
  tenantId: TenantId
  userId: UserId
  sessionId: Id<'session'>
  role: Role
  refreshToken: string
  expiresAt: Date
}
export type Renewal = { ok: true; renewed: Renewed } | { ok: false; reason: string }

/** Exchanges a refresh token. One that was exchanged before was stolen or lost: the session ends for everyone. */
export async function renewSession(services: Services, token: string): Promise<Renewal> {
  if (!isRefreshToken(token)) return { ok: false, reason: 'refresh_malformed' }
  const refreshToken = newRefreshToken()
  const rotation = await rotateSession(services.database, await sha256(token), {
    sessionId: newId('session', services.now()),
    tokenHash: await sha256(refreshToken),
  })
  if (!rotation) return { ok: false, reason: 'refresh_unknown' }
  const { tenantId, userId, familyId } = rotation
  if (rotation.outcome === 'reused') {
    await cacheSessionEnd(services.cache, tenantId, familyId)
    return { ok: false, reason: 'refresh_reused' }
  }
  const { role, expiresAt } = rotation
  return {
    ok: true,
    renewed: { tenantId, userId, sessionId: familyId, role, refreshToken, expiresAt: new Date(expiresAt) },
  }
}

/** Ends the caller's session: its refresh token in the database, its access tokens at once in every isolate. */
export async function signOut(ctx: Context): Promise<void> {
  if (ctx.actor.kind !== 'user') throw new Problem('forbidden', 'Only a signed-in person has a session.')
  const { sessionId } = ctx.actor
  await endSession(ctx.tenantDb, sessionId)
  await cacheSessionEnd(ctx.services.cache, ctx.tenantId, sessionId)
}
