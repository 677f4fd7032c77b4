import { cacheSessionEnd, cacheSessionEnds } from '#src/cache/sessions.ts'
import {
  credentialStands,
  endMemberSessions as endMemberSessionRows,
  endOwnSessions,
  insertSession,
  listOwnSessions,
  rotateSession,
  type Client,
  type OwnSession,
} from '#src/db/sessions.ts'
import { findLogin, findPerson, type Login, type Membership } from '#src/db/users.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id, type TenantId, type UserId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { isRefreshToken, newRefreshToken } from '#src/domain/refresh-token.ts'
import type { RoleName } from '#src/domain/role.ts'
import { allow, type Context, type Services } from './context.ts'
import { challengeFor, type Challenge } from './factors.ts'
import { hashPassword, verifyPassword } from './passwords.ts'

/** From sign-in to the next sign-in, however often the tokens are exchanged in between. */
export const sessionMs = 30 * 24 * 60 * 60 * 1000

export type Session = {
  tenant: { id: TenantId; name: string }
  user: { id: UserId; email: string }
  role: RoleName
  sessionId: Id<'session'>
  refreshToken: string
  expiresAt: Date
  /** Everywhere that the person is a member, this tenant included. */
  tenants: { id: TenantId; name: string; role: RoleName }[]
}

/** Why not is for the log: a caller must not learn which accounts exist. */
export type SignIn =
  | { ok: true; session: Session }
  | { ok: false; reason: string }
  /** The first factor was right, and a second one is needed. */
  | { ok: 'challenge'; challenge: Challenge }

/** Opens a session with a password, in the given tenant or in the one joined first. */
export async function signIn(
  services: Services,
  input: { email: string; password: string; tenantId?: TenantId | undefined } & Client,
): Promise<SignIn> {
  const login = await findLogin(services.database, input.email)
  const passwordWas = login?.passwordHash ?? undefined
  const verdict = await verifyPassword(input.password, passwordWas, services.passwordCost)
  if (!login) return { ok: false, reason: 'account_unknown' }
  if (!verdict.ok || passwordWas === undefined) return { ok: false, reason: 'password_wrong' }
  const passwordHash = verdict.outdated
    ? await hashPassword(input.password, services.passwordCost)
    : undefined
  return enter(services, login, { ...input, amr: ['pwd'], passwordWas, passwordHash })
}

/**
 * The one way to a session after any first factor, for somebody whom the caller has made sure of: asks whether they are a
 * member, whether the tenant wants its own sign-in, and whether a second factor is still to come.
 * @param input.amr how they showed who they are: `pwd`, `link`, `sso`, and second factors as factors.ts names them
 */
export async function completeSignIn(
  services: Services,
  input: {
    userId: UserId
    email: string
    tenantId?: TenantId | undefined
    amr: readonly string[]
    beganAt?: Date | undefined
  } & Client,
): Promise<SignIn> {
  const login = await findPerson(services.database, input.userId)
  return login ? enter(services, login, input) : { ok: false, reason: 'account_unknown' }
}

type Entry = {
  tenantId?: TenantId | undefined
  amr: readonly string[]
  /** When the session began that is left for this one: going from tenant to tenant makes none of them longer. */
  beganAt?: Date | undefined
  passwordWas?: string | undefined
  passwordHash?: string | undefined
} & Client

/** The rest of the way for somebody whose account has been read already. */
export async function enter(services: Services, login: Login, entry: Entry): Promise<SignIn> {
  const chosen = chooseTenant(login.tenants, entry)
  if (typeof chosen === 'string') return { ok: false, reason: chosen }
  const { tenant } = chosen
  const { userId, email } = login
  const { amr, passwordWas, passwordHash } = entry
  const asked = { userId, tenantId: tenant.id, role: tenant.role, amr }
  const challenge = await challengeFor(services, asked)
  if (challenge) return { ok: 'challenge', challenge }

  const now = services.now()
  const sessionId = newId('session', now)
  const refreshToken = newRefreshToken()
  const expiresAt = new Date((entry.beganAt ?? now).getTime() + sessionMs)
  const opened = await insertSession(services.database, {
    tenantId: tenant.id,
    userId,
    sessionId,
    tokenHash: await sha256(refreshToken),
    expiresAt,
    amr,
    client: clientOf(entry),
    ...(entry.beganAt === undefined ? {} : { beganAt: entry.beganAt }),
    ...(passwordWas === undefined ? {} : { passwordWas }),
    ...(passwordHash === undefined ? {} : { passwordHash }),
  })
  if (!opened) return { ok: false, reason: 'not_a_member' }
  return {
    ok: true,
    session: {
      tenant: { id: tenant.id, name: tenant.name },
      user: { id: userId, email },
      role: tenant.role,
      sessionId,
      refreshToken,
      expiresAt,
      tenants: login.tenants.map(({ id, name, role }) => ({ id, name, role })),
    },
  }
}

/** The tenant that was asked for, or the first that lets them in this way. */
function chooseTenant(
  tenants: readonly Membership[],
  { tenantId, amr }: Entry,
): { tenant: Membership } | 'not_a_member' | 'sso_required' {
  const wanted = tenants.filter(({ id }) => tenantId === undefined || id === tenantId)
  const open = wanted.find(({ requireSso }) => !requireSso || amr.includes('sso'))
  if (open) return { tenant: open }
  return wanted.length > 0 ? 'sso_required' : 'not_a_member'
}

const mostUserAgent = 300

/** What browsers call themselves is long, and everybody may say anything. */
export const clientOf = ({ address, userAgent }: Client): Client => ({
  ...(address === undefined ? {} : { address: address.slice(0, 64) }),
  ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, mostUserAgent) }),
})

/** A session with its next refresh token: what tokens are made of. */
export type OpenSession = {
  tenantId: TenantId
  userId: UserId
  sessionId: Id<'session'>
  role: RoleName
  refreshToken: string
  expiresAt: Date
}
export type Renewal = { ok: true; renewed: OpenSession } | { ok: false; reason: string }

/** Exchanges a refresh token. One that was exchanged before was stolen or lost: the session ends for everyone. */
export async function renewSession(services: Services, token: string, client: Client = {}): Promise<Renewal> {
  if (!isRefreshToken(token)) return { ok: false, reason: 'refresh_malformed' }
  const refreshToken = newRefreshToken()
  const rotation = await rotateSession(services.database, await sha256(token), {
    sessionId: newId('session', services.now()),
    tokenHash: await sha256(refreshToken),
    client: clientOf(client),
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

/** The session that the caller came with; keys have none. */
export function sessionOf(ctx: Context): { userId: UserId; sessionId: Id<'session'> } {
  if (ctx.actor.kind !== 'user') throw new Problem('forbidden', 'Only a signed-in person has a session.')
  return { userId: ctx.actor.userId, sessionId: ctx.actor.sessionId }
}

/** Ends the caller's session: its refresh token in the database, its access tokens at once in every isolate. */
export async function signOut(ctx: Context): Promise<void> {
  const { sessionId } = sessionOf(ctx)
  await endOwnSessions(ctx.tenantDb, { only: sessionId })
  await cacheSessionEnd(ctx.services.cache, ctx.tenantId, sessionId)
}

/** Whether the caller is still let in: for answers that go on after the request was admitted. */
export async function isStillLetIn({ actor, tenantDb }: Context): Promise<boolean> {
  switch (actor.kind) {
    case 'user':
      return credentialStands(tenantDb, { session: actor.sessionId, role: actor.role })
    case 'api-key':
      return credentialStands(tenantDb, { key: actor.keyId })
    case 'job':
      return true
  }
}

/** Where the caller is signed in, in all of their tenants; the newest use first. */
export async function readSessions(ctx: Context): Promise<(OwnSession & { current: boolean })[]> {
  const { sessionId } = sessionOf(ctx)
  const all = await listOwnSessions(ctx.tenantDb)
  return all.map((one) => ({ ...one, current: one.sessionId === sessionId }))
}

/** Ends one of the caller's sessions, in whichever tenant it is. */
export async function endSession(ctx: Context, id: Id<'session'>): Promise<void> {
  sessionOf(ctx)
  const ended = await endOwnSessions(ctx.tenantDb, { only: id })
  if (ended.length === 0) throw notFound('session')
  await cacheSessionEnds(ctx.services.cache, ended)
}

/** Ends all of the caller's sessions but the one that asks. */
export async function endOtherSessions(ctx: Context): Promise<void> {
  const { sessionId } = sessionOf(ctx)
  await cacheSessionEnds(ctx.services.cache, await endOwnSessions(ctx.tenantDb, { keep: sessionId }))
}

/** Signs a member out of this tenant, everywhere. */
export async function endMemberSessions(ctx: Context, userId: UserId): Promise<void> {
  allow(ctx, 'members:write')
  const ended = await endMemberSessionRows(ctx.tenantDb, userId)
  if (!ended) throw notFound('member')
  await cacheSessionEnds(ctx.services.cache, ended)
}
