import {
  forgetRuns,
  limitRuns as limitRunsRow,
  listAlerts,
  lookForLateness,
  nextToForget,
  resolveAlert as resolveAlertRow,
  type Alert,
  type AlertFilter,
  type RunLimits,
} from '#src/db/alerts.ts'
import type { AlertId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { actorName } from '#src/domain/role.ts'
import type { EngineServices } from '#src/engine/services.ts'
import { allow, type Context } from './context.ts'

export async function readAlerts(ctx: Context, filter: AlertFilter, page: PageRequest): Promise<Page<Alert>> {
  allow(ctx, 'runs:read')
  const before = page.after?.[0] as AlertId | undefined
  const found = await listAlerts(ctx.tenantDb, filter, before, page.limit)
  return toPage(found, page.limit, ({ id }) => [id])
}

export async function resolveAlert(ctx: Context, id: AlertId): Promise<Alert> {
  allow(ctx, 'runs:write', { kind: 'alert', id })
  return resolveAlertRow(ctx.tenantDb, id, actorName(ctx.actor))
}

export async function limitRuns(ctx: Context, limits: RunLimits): Promise<void> {
  allow(ctx, 'limits:write')
  await limitRunsRow(ctx.tenantDb, limits)
}

/** One tick's share of each. */
const most = { late: 500, tenants: 50, runs: 500 }
/** How long past its time a schedule may be before somebody is told. */
const graceMs = 5 * 60_000

/** The tick's look for what has become late. It must not keep the tick from what else it has to do. */
export async function noticeLateness(services: EngineServices): Promise<void> {
  try {
    await lookForLateness(services.database, most.late, graceMs)
  } catch (error) {
    services.log({ event: 'lateness.failed', name: nameOf(error) })
  }
}

/** The tick's clearing away of what is too old, a tenant a statement. */
export async function forgetOldRuns(services: EngineServices): Promise<void> {
  for (const tenantId of await nextToForget(services.database, most.tenants)) {
    try {
      await forgetRuns(services.database, tenantId, most.runs)
    } catch (error) {
      // What one tenant's runs are held by must not keep the others' from being forgotten.
      services.log({ event: 'forget.failed', tenantId, name: nameOf(error) })
    }
  }
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error)
