import type { Cache } from '#src/cache/redis.ts'
import type { TenantDb } from '#src/db/database.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Limits } from '#src/domain/limit.ts'
import { Problem } from '#src/domain/problem.ts'
import { can, type Actor, type Permission } from '#src/domain/role.ts'
import type { EngineServices } from '#src/engine/services.ts'
import type { Env } from '#src/env.ts'

/** What one isolate is connected to, made once. */
export type Services = EngineServices & {
  readonly env: Env
  readonly cache: Cache
  readonly limits: Limits
}

/** Who asks, for which tenant, and everything needed to serve them. */
export type Context = {
  readonly tenantId: TenantId
  readonly actor: Actor
  readonly requestId: string
  /** This request's own span, to pass on. */
  readonly traceparent: string
  readonly tenantDb: TenantDb
  readonly services: Services
  now(): Date
  /** Work that outlives the answer. */
  defer(promise: Promise<unknown>): void
}

/** Refuses who may not. The first line of every action. */
export function allow(ctx: Context, wanted: Permission): void {
  if (!can(ctx.actor, wanted)) throw new Problem('forbidden', `This needs the permission ${wanted}.`)
}
