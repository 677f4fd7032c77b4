import type { ClaimedRun } from '#src/db/run-moves.ts'
import type { PipelineId, TenantId } from '#src/domain/id.ts'

/** A pipeline's version as the last run of it showed it: a version never changes, but another may be the current one. */
export type KnownVersion = Pick<ClaimedRun, 'version' | 'definition' | 'plan'>

const mostVersions = 200
const mostSteps = 100
const kept = new Map<string, KnownVersion>()

/** Only small ones: what this holds is an isolate's memory. */
export function rememberVersion(tenantId: TenantId, run: ClaimedRun): void {
  const { version, definition, plan, pipelineId } = run
  if (plan.length > mostSteps) return
  if (kept.size >= mostVersions) kept.clear()
  kept.set(`${tenantId} ${pipelineId}`, { version, definition, plan })
}

export const knownVersion = (tenantId: TenantId, pipelineId: PipelineId): KnownVersion | undefined =>
  kept.get(`${tenantId} ${pipelineId}`)
