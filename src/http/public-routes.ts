/**
 * Everything that answers without a credential, and nothing else does. `counted` requests fall under the limit of their
 * address and are refused when it cannot be counted; `free` ones cost next to nothing or are proved otherwise.
 */
export const publicRoutes = {
  'GET /v1/health': 'free',
  'GET /v1/schemas/pipeline.json': 'free',
  'GET /.well-known/jwks.json': 'free',
  'GET /problems/:code': 'free',
  'POST /v1/callbacks/:token': 'free',
  'POST /v1/events/:triggerId': 'free',
  'POST /v1/api-keys/revoke': 'counted',
  'POST /v1/invitations/look': 'counted',
  'POST /v1/invitations/use': 'counted',
  'POST /v1/sign-up': 'counted',
  'POST /v1/sessions': 'counted',
  'POST /v1/sessions/link': 'counted',
  'POST /v1/sessions/link/use': 'counted',
  'POST /v1/sessions/refresh': 'free',
  'POST /v1/accounts/verify': 'counted',
  'POST /v1/accounts/password-reset': 'counted',
  'POST /v1/accounts/password-reset/use': 'counted',
  'POST /v1/accounts/email/confirm': 'counted',
  'POST /v1/accounts/email/undo': 'counted',
  'POST /v1/sessions/factor': 'counted',
  'POST /v1/sessions/factor/enrol': 'counted',
  'POST /v1/sessions/factor/passkey/options': 'counted',
  'POST /v1/sessions/factor/totp': 'counted',
  'POST /v1/sessions/passkey': 'counted',
  'POST /v1/sessions/passkey/options': 'counted',
  'POST /v1/sso/start': 'counted',
  'GET /v1/sso/callback': 'counted',
  'GET /v1/sso/providers/:id/metadata': 'counted',
  'POST /v1/sso/providers/:id/acs': 'counted',
} as const

const byRequest: ReadonlyMap<string, 'free' | 'counted'> = new Map(Object.entries(publicRoutes))

const byPattern = Object.entries(publicRoutes).flatMap(([name, access]) =>
  name.includes(' /v1/') && name.includes(':')
    ? [{ pattern: new RegExp(`^${name.replaceAll(/:\w+/g, '[^/]+')}$`), access }]
    : [],
)

/**
 * A form of another site's may come here, and nowhere else: SAML's answers do. What takes it looks at no cookie, signs nobody
 * in and changes nothing but the sign-in that it has the key of.
 */
export const takesForms = (method: string, path: string): boolean =>
  method === 'POST' && /^\/v1\/sso\/providers\/[^/]+\/acs$/.test(path)

/** What is asked for, when it is public. */
export function publicAccess(method: string, path: string): 'free' | 'counted' | undefined {
  const asked = `${method === 'HEAD' ? 'GET' : method} ${path}`
  return byRequest.get(asked) ?? byPattern.find(({ pattern }) => pattern.test(asked))?.access
}
