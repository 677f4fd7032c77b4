import { Problem } from '#src/domain/problem.ts'
import { hasSessionCookie } from './cookies.ts'

const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Against forged requests: a change that does not carry its own credential in a header must come from our own pages.
 * Browsers say where from in Sec-Fetch-Site or Origin; what says neither may act only if it brings no cookie of ours.
 */
export function checkOrigin(request: Request, ownOrigin: string): void {
  const { headers } = request
  if (safe.has(request.method) || headers.has('authorization')) return
  const site = headers.get('sec-fetch-site')
  const origin = headers.get('origin')
  const allowed =
    site !== null
      ? site === 'same-origin' && origin !== 'null'
      : origin !== null
        ? origin === ownOrigin
        : !hasSessionCookie(headers.get('cookie'))
  if (!allowed) throw new Problem('forbidden', 'This change must be made from a page of this site.')
}
