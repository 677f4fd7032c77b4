import { apiKeyPrefix, isApiKey } from '#src/domain/api-key.ts'
import { Problem } from '#src/domain/problem.ts'
import { readAccessCookie } from './cookies.ts'

export type Credential =
  | { kind: 'none' }
  | { kind: 'token'; token: string }
  | { kind: 'api-key'; key: string }
  /** Shown, and wrong without looking further. */
  | { kind: 'bad'; reason: string }

/** What the request shows: one credential, in one place, never in its address. */
export function readCredential(request: Request): Credential {
  refuseInQuery(request.url)
  const authorization = request.headers.get('authorization')
  const cookie = readAccessCookie(request.headers.get('cookie'))
  if (authorization === null)
    return cookie === undefined ? { kind: 'none' } : { kind: 'token', token: cookie }
  if (cookie !== undefined) {
    throw new Problem('malformed', 'Show either the cookie or the Authorization header, not both.')
  }
  const [, shown] = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(authorization) ?? []
  if (shown === undefined) return { kind: 'bad', reason: 'not_bearer' }
  if (!shown.startsWith(apiKeyPrefix)) return { kind: 'token', token: shown }
  return isApiKey(shown) ? { kind: 'api-key', key: shown } : { kind: 'bad', reason: 'key_checksum' }
}

const secretParameter = /[?&](api[_-]?key|access[_-]?token|token|authorization)=|weir_(live|refresh)_/i

/** Addresses end up in logs and histories. */
function refuseInQuery(url: string): void {
  const at = url.indexOf('?')
  if (at >= 0 && secretParameter.test(url.slice(at))) {
    throw new Problem('malformed', 'Send credentials in the Authorization header, never in the address.')
  }
}
