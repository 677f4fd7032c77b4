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
  'POST /v1/sign-up': 'counted',
  'POST /v1/sessions': 'counted',
  'POST /v1/sessions/refresh': 'counted',
} as const

const byRequest: ReadonlyMap<string, 'free' | 'counted'> = new Map(Object.entries(publicRoutes))

const byPattern = Object.entries(publicRoutes).flatMap(([name, access]) =>
  name.includes(' /v1/') && name.includes(':')
    ? [{ pattern: new RegExp(`^${name.replaceAll(/:\w+/g, '[^/]+')}$`), access }]
    : [],
)

/** What is asked for, when it is public. */
export function publicAccess(method: string, path: string): 'free' | 'counted' | undefined {
  const asked = `${method === 'HEAD' ? 'GET' : method} ${path}`
  return byRequest.get(asked) ?? byPattern.find(({ pattern }) => pattern.test(asked))?.access
}
