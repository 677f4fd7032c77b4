import type { Cache } from '#src/cache/redis.ts'
import type { IsKnownPassword } from '#src/connectors/known-passwords.ts'
import type { Mail } from '#src/connectors/mail.ts'
import type { TenantDb } from '#src/db/database.ts'
import { demandOf } from '#src/db/demand.ts'
import { otherWay, type Resource } from '#src/domain/access.ts'
import type { DeviceTokens } from '#src/domain/device-token.ts'
import type { ProjectId, TenantId } from '#src/domain/id.ts'
import type { Limits } from '#src/domain/limit.ts'
import { Problem } from '#src/domain/problem.ts'
import { can, type Actor, type Permission } from '#src/domain/role.ts'
import type { Seal } from '#src/domain/seal.ts'
import type { TenantRecord } from '#src/domain/tenant-record.ts'
import type { EngineServices } from '#src/engine/services.ts'
import type { Env } from '#src/env.ts'
import type { PasswordCost } from './passwords.ts'

/** What one isolate is connected to, made once. */
export type Services = EngineServices & {
  readonly env: Env
  readonly cache: Cache
  readonly limits: Limits
  /** What a new hash of a password costs. */
  readonly passwordCost: PasswordCost
  /** Seals mails until they are sent. */
  readonly mailSeal: Seal
  /** Hands a mail over; without it no mails are sent. */
  readonly postMail: ((mail: Mail) => Promise<void>) | undefined
  readonly devices: DeviceTokens
  /** Whether a password is known from stolen lists. */
  readonly isKnownPassword: IsKnownPassword
}

/** Who asks, for which tenant, and everything needed to serve them. */
export type Context = {
  readonly tenantId: TenantId
  /** What the tenant has settled, as every isolate knows it. */
  readonly tenant: TenantRecord
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

/**
 * Refuses who may not. The first line of every action.
 *
 * Who may not do it in the whole tenant may still do it somewhere: in the one project of a key, or where a grant allows it.
 * With `on`, the next transaction then begins by asking the database whether this resource is such a place, and does
 * nothing when it is not. Without it nothing needs asking: a list holds the rows that grants let the caller see.
 */
export function allow(ctx: Context, wanted: Permission, on?: Resource): void {
  if (can(ctx.actor, wanted)) return
  const way = otherWay(ctx.actor, wanted)
  if (way === undefined || (on === undefined && !wanted.endsWith(':read'))) throw forbidden(wanted)
  if (on !== undefined) ctx.tenantDb.demand(demandOf(wanted, on))
  else if (way === 'grant') ctx.tenantDb.onlyGranted()
}

export const forbidden = (wanted: Permission) =>
  new Problem('forbidden', `This needs the permission ${wanted}.`)

/** For making something in a project, or in the tenant at large: gives the project, which for a bound key is its own. */
export function allowIn(
  ctx: Context,
  wanted: Permission,
  project: ProjectId | undefined,
): ProjectId | undefined {
  const own = ctx.actor.kind === 'api-key' ? ctx.actor.projectId : undefined
  const projectId = project ?? own
  allow(ctx, wanted, projectId && { kind: 'project', id: projectId })
  return projectId
}

/** Refuses who may not do it in the whole tenant, wherever else they may. */
export function allowEverywhere(ctx: Context, wanted: Permission): void {
  if (!can(ctx.actor, wanted)) throw forbidden(wanted)
}
