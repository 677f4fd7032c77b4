import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import type { Context } from '#src/actions/context.ts'
import type { TenantId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { actorName, type Actor } from '#src/domain/role.ts'
import type { ApiEnv } from './api.ts'
import { identify } from './authenticate.ts'
import { refuseLargeBody } from './body.ts'
import { readCredential } from './credential.ts'
import { defer } from './defer.ts'
import { addressBucket, countLeniently, countStrictly, enforce } from './limits.ts'
import { checkOrigin } from './origin.ts'
import { publicAccess } from './public-routes.ts'

/** Lets in who may: everything under /v1 needs a credential unless it is in the table of public routes. */
export function admit(): MiddlewareHandler<ApiEnv> {
  return async function admit(c, next) {
    const { services, origin } = c.get('gate')
    refuseLargeBody(c.req.raw)
    checkOrigin(c.req.raw, origin)
    const access = publicAccess(c.req.method, c.req.path)
    if (access !== undefined) {
      if (access === 'counted') await countStrictly(c, await addressBucket(c, services.limits.address))
      return next()
    }
    const identity = await identify(c, readCredential(c.req.raw))
    if (!identity.ok) {
      c.get('log').reason = identity.reason
      const counted = await countLeniently(c, await addressBucket(c, services.limits.address))
      if (counted) enforce(c, counted)
      throw new Problem('unauthenticated', 'Sign in, or show an API key that is still good.')
    }
    const { tenantId, actor } = identity
    const log = c.get('log')
    log.tenantId = tenantId
    log.actor = actorName(actor)
    c.set('ctx', contextOf(c, tenantId, actor))
    return next()
  }
}

function contextOf(c: HonoContext<ApiEnv>, tenantId: TenantId, actor: Actor): Context {
  const { services } = c.get('gate')
  return {
    tenantId,
    actor,
    requestId: c.get('requestId'),
    traceparent: c.get('trace').traceparent,
    tenantDb: services.database.tenant(tenantId, actorName(actor)),
    services,
    now: () => services.now(),
    defer: (promise) => defer(c, promise),
  }
}
