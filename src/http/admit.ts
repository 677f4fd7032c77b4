import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import type { Context } from '#src/actions/context.ts'
import type { TenantId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { accessOf } from '#src/domain/access.ts'
import { actorName, type Actor } from '#src/domain/role.ts'
import type { TenantRecord } from '#src/domain/tenant-record.ts'
import type { ApiEnv } from './api.ts'
import { identify } from './authenticate.ts'
import { refuseLargeBody } from './body.ts'
import { refuseUnlistedSite } from './cors.ts'
import { refuseClosedTenant } from './closed-tenant.ts'
import { readCredential } from './credential.ts'
import { defer } from './defer.ts'
import { addressBucket, countLeniently, countStrictly, enforce } from './limits.ts'
import { checkOrigin } from './origin.ts'
import { publicAccess, takesForms } from './public-routes.ts'
import { requestOrigin } from './request-origin.ts'
import { refuseSpentRequests } from './spent-requests.ts'
import { refuseUnlistedAddress } from './tenant-door.ts'

/** Lets in who may: everything under /v1 needs a credential unless it is in the table of public routes. */
export function admit(): MiddlewareHandler<ApiEnv> {
  return async function admit(c, next) {
    const { services, origin } = c.get('gate')
    refuseLargeBody(c.req.raw)
    if (!takesForms(c.req.method, c.req.path)) checkOrigin(c.req.raw, origin)
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
    const { tenantId, tenant, actor } = identity
    const log = c.get('log')
    log.tenantId = tenantId
    log.actor = actorName(actor)
    c.set('ctx', contextOf(c, tenantId, tenant, actor))
    refuseClosedTenant(c, tenant, actor)
    refuseUnlistedAddress(c)
    refuseUnlistedSite(c)
    await refuseSpentRequests(c, c.get('ctx'))
    return next()
  }
}

function contextOf(c: HonoContext<ApiEnv>, tenantId: TenantId, tenant: TenantRecord, actor: Actor): Context {
  const { services } = c.get('gate')
  return {
    tenantId,
    tenant,
    actor,
    requestId: c.get('requestId'),
    traceparent: c.get('trace').traceparent,
    tenantDb: services.database.tenant(tenantId, actorName(actor), {
      request: requestOrigin(c, actor),
      access: accessOf(actor),
    }),
    services,
    now: () => services.now(),
    defer: (promise) => defer(c, promise),
  }
}
