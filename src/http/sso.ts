import type { Context } from 'hono'
import type { SsoEnd } from '#src/actions/sso/sign-in.ts'
import type { ApiEnv } from './api.ts'
import { giveTokens } from './session.ts'

const cookie = '__Host-sso'
const shape = /^[A-Za-z0-9_-]{43}$/

/** What binds a sign-in under way to the browser that began it. */
export function readSsoCookie(c: Context<ApiEnv>): string | undefined {
  for (const pair of (c.req.header('cookie') ?? '').split(';')) {
    const at = pair.indexOf('=')
    const value = pair.slice(at + 1).trim()
    if (pair.slice(0, at).trim() === cookie && shape.test(value)) return value
  }
  return undefined
}

/** Lax, because the way back from the provider is a navigation from another site. */
export function setSsoCookie(c: Context<ApiEnv>, value: string, lastsMs: number): void {
  const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax'
  c.header('Set-Cookie', `${cookie}=${value}; Max-Age=${Math.floor(lastsMs / 1000)}; ${attributes}`, {
    append: true,
  })
}

/**
 * Sends the browser on into the console. What went wrong is a word in the fragment, which no server sees; the reason is in
 * the log alone.
 */
export async function endSso(c: Context<ApiEnv>, end: SsoEnd): Promise<Response> {
  if (end.outcome === 'refused') return refused(c, end.word, end.reason)
  const { result, returnTo } = end
  if (result.ok === 'challenge') {
    const { token, factors, enrol } = result.challenge
    const next = new URLSearchParams({ token, factors: factors.join(','), enrol: String(enrol), returnTo })
    return c.redirect(`/sign-in#factor&${next.toString()}`, 303)
  }
  if (!result.ok) return refused(c, 'not_allowed', result.reason)
  const { session } = result
  await giveTokens(c, { ...session, tenantId: session.tenant.id, userId: session.user.id })
  const log = c.get('log')
  log.tenantId = session.tenant.id
  log.actor = session.user.id
  return c.redirect(returnTo, 303)
}

function refused(c: Context<ApiEnv>, word: string, reason: string): Response {
  c.get('log').reason = reason
  return c.redirect(`/sign-in#sso=${word}`, 303)
}

/** Where the request comes from, as far as it can be known. */
export function clientOf(c: Context<ApiEnv>): { address?: string; userAgent?: string } {
  const address = c.env?.address
  const userAgent = c.req.header('user-agent')?.slice(0, 300)
  return { ...(address === undefined ? {} : { address }), ...(userAgent === undefined ? {} : { userAgent }) }
}
