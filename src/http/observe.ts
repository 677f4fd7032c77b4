import type { Context, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { newId } from '#src/domain/id.ts'
import type { ApiEnv, RequestLog } from './api.ts'
import { corsHeaders, preflight } from './cors.ts'
import type { Gate } from './gate.ts'
import { limitHeaders } from './limits.ts'
import { continueTrace } from './trace.ts'

const acceptableId = /^[A-Za-z0-9._-]{1,128}$/

/** Of what a browser offers, the console wants passkeys and nothing else. */
const unusedFeatures =
  'accelerometer autoplay camera clipboard-read display-capture geolocation gyroscope hid idle-detection magnetometer microphone midi payment serial usb'
    .split(' ')
    .map((feature) => `${feature}=()`)
    .join(', ')

/** Headers of every answer; a route that sets one itself keeps its own. */
const defaults = [
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Permissions-Policy', unusedFeatures],
  ['Strict-Transport-Security', 'max-age=63072000; includeSubDomains'],
  ['Cache-Control', 'no-store'],
] as const

/** The outermost layer: names the request, continues its trace, and writes its headers and its one line in the log. */
export function observe(gate: Gate): MiddlewareHandler<ApiEnv> {
  const { services } = gate
  return async function observe(c, next) {
    const startedMs = performance.now()
    const given = c.req.raw.headers.get('x-request-id')
    const requestId = given !== null && acceptableId.test(given) ? given : newId('request', services.now())
    const trace = continueTrace(c.req.raw.headers.get('traceparent') ?? undefined)
    const log: RequestLog = {}
    c.set('gate', gate)
    c.set('requestId', requestId)
    c.set('trace', trace)
    c.set('log', log)
    const preflighted = preflight(c.req.raw)
    if (preflighted) c.res = preflighted
    else await next()
    writeHeaders(c, requestId)
    const route = routePath(c, -1)
    services.log({
      event: 'request',
      requestId,
      traceId: trace.traceId,
      tenantId: log.tenantId,
      actor: log.actor,
      method: c.req.method,
      route: route.endsWith('*') ? undefined : route,
      status: c.res.status,
      ms: Math.round((performance.now() - startedMs) * 10) / 10,
      reason: log.reason,
    })
  }
}

function writeHeaders(c: Context<ApiEnv>, requestId: string): void {
  const { headers } = writable(c)
  for (const [name, value] of defaults) {
    if (!headers.has(name)) headers.set(name, value)
  }
  headers.set('X-Request-Id', requestId)
  const standing = c.get('standing')
  if (standing) {
    const [policy, limit] = limitHeaders(standing)
    headers.set('RateLimit-Policy', policy)
    headers.set('RateLimit', limit)
  }
  headers.append('Vary', 'Origin')
  for (const [name, value] of corsHeaders(c)) headers.set(name, value)
}

/** An answer passed on from a fetch has headers that cannot be written; ours can. */
function writable(c: Context<ApiEnv>): Response {
  try {
    c.res.headers.delete('X-Request-Id')
  } catch {
    c.res = new Response(c.res.body, c.res)
  }
  return c.res
}
