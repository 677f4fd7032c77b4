import type { Context as HonoContext } from 'hono'
import type { Context } from '#src/actions/context.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

const exposed =
  'Allow, Content-Disposition, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id'
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const allowedHeaders =
  'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Traceparent, Weir-Device, X-Request-Id'

/** Whether the site may call: ours to say for everybody, a tenant's for itself. `null`, which any sandbox is, never. */
function isListed(c: HonoContext<ApiEnv>, origin: string): boolean {
  if (origin === 'null') return false
  if (c.get('gate').corsOrigins.has(origin)) return true
  // Not there before somebody has been identified.
  const ctx: Context | undefined = c.get('ctx')
  return ctx !== undefined && ctx.tenant.origins.includes(origin)
}

/** What is added for a page of a listed site. Never with credentials: such pages bring a bearer token or a key. */
export function corsHeaders(c: HonoContext<ApiEnv>): [name: string, value: string][] {
  const origin = c.req.raw.headers.get('origin')
  // What a preflight is told says nothing of who may.
  if (origin === null || c.req.method === 'OPTIONS' || !isListed(c, origin)) return []
  return [
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Expose-Headers', exposed],
  ]
}

/**
 * Refuses what a page of a site asks that is not in its tenant's list, before anything is done: a preflight cannot know
 * the tenant and lets everybody try.
 */
export function refuseUnlistedSite(c: HonoContext<ApiEnv>): void {
  const { headers } = c.req.raw
  const origin = headers.get('origin')
  if (origin === null || origin === c.get('gate').origin || isListed(c, origin)) return
  if (origin !== 'null' && headers.get('sec-fetch-site') === 'same-origin') return
  throw new Problem('forbidden', 'Pages of this site may not call the API for this tenant; see its origins.')
}

/**
 * The answer to a preflight. It comes without a credential, so it cannot be judged by the tenant's list: any site but
 * `null` may try, with a credential of its own in a header, and the request itself is judged.
 */
export function preflight(request: Request): Response | undefined {
  const { headers, method } = request
  if (method !== 'OPTIONS' || !headers.has('access-control-request-method')) return undefined
  const origin = headers.get('origin')
  const mayTry = origin !== null && origin !== 'null' && new URL(request.url).pathname.startsWith('/v1/')
  return new Response(null, {
    status: 204,
    headers: mayTry
      ? {
          'Access-Control-Allow-Origin': '*',
          'Access-Control-Allow-Methods': allowedMethods,
          'Access-Control-Allow-Headers': allowedHeaders,
          'Access-Control-Max-Age': '7200',
        }
      : {},
  })
}
