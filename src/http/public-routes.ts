/**
 * Everything that answers without a credential, and nothing else does. `counted` requests fall under the limit of their
 * address and are refused when it cannot be counted; `free` ones cost next to nothing or are proved otherwise.
 */
export const publicRoutes = {
  'GET /v1/health': 'free',
  'GET /v1/schemas/pipeline.json': 'free',
  'GET /.well-known/jwks.json': 'free',
  'GET /problems/:code': 'free',
  'POST /v1/sign-up': 'counted',
  'POST /v1/sessions': 'counted',
  'POST /v1/sessions/refresh': 'counted',
} as const

const byRequest: ReadonlyMap<string, 'free' | 'counted'> = new Map(Object.entries(publicRoutes))

/** What is asked for, when it is public. */
export const publicAccess = (method: string, path: string): 'free' | 'counted' | undefined =>
  byRequest.get(`${method === 'HEAD' ? 'GET' : method} ${path}`)
