import type { Gate } from './gate.ts'

const exposed =
  'ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, Idempotency-Replayed'
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const allowedHeaders =
  'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Traceparent, X-Request-Id'

/** What is added for a page of an allowed site. Never with credentials: such pages bring a bearer token or a key. */
export function corsHeaders(gate: Gate, request: Request): [name: string, value: string][] {
  const origin = request.headers.get('origin')
  if (origin === null || !gate.corsOrigins.has(origin)) return []
  return [
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Expose-Headers', exposed],
  ]
}

/** The answer to a preflight, which says the same to everyone but names only allowed origins. */
export function preflight(request: Request): Response | undefined {
  if (request.method !== 'OPTIONS' || !request.headers.has('access-control-request-method')) return undefined
  return new Response(null, {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': allowedMethods,
      'Access-Control-Allow-Headers': allowedHeaders,
      'Access-Control-Max-Age': '7200',
    },
  })
}
