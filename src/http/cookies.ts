import type { Context } from 'hono'
import type { ApiEnv } from './api.ts'

const access = '__Host-access'
const refresh = '__Host-refresh'
const device = '__Host-device'
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax'

export const readAccessCookie = (header: string | null): string | undefined => read(header, access)
export const readRefreshCookie = (header: string | null): string | undefined => read(header, refresh)
export const readDeviceCookie = (header: string | null): string | undefined => read(header, device)
export const hasSessionCookie = (header: string | null): boolean =>
  header !== null && (header.includes(`${access}=`) || header.includes(`${refresh}=`))

function read(header: string | null, name: string): string | undefined {
  if (header === null || !header.includes(`${name}=`)) return undefined
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/** The console's copy of the tokens: out of reach of its scripts. */
export function setSessionCookies(
  c: Context<ApiEnv>,
  tokens: { accessToken: string; accessTokenMs: number; refreshToken: string; refreshTokenMs: number },
): void {
  write(c, access, tokens.accessToken, tokens.accessTokenMs)
  write(c, refresh, tokens.refreshToken, tokens.refreshTokenMs)
}

/** Says that somebody has signed in here before; it outlives the session. */
export const setDeviceCookie = (c: Context<ApiEnv>, token: string, lifetimeMs: number): void =>
  write(c, device, token, lifetimeMs)

export function clearSessionCookies(c: Context<ApiEnv>): void {
  write(c, access, '', 0)
  write(c, refresh, '', 0)
}

function write(c: Context<ApiEnv>, name: string, value: string, lifetimeMs: number): void {
  const maxAge = Math.max(Math.floor(lifetimeMs / 1000), 0)
  c.header('Set-Cookie', `${name}=${value}; Max-Age=${maxAge}; ${attributes}`, { append: true })
}
