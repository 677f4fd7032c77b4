import type { ClaimedRun, RunVersion } from '#src/db/run-moves.ts'
import type { PipelineId, RunId, TenantId } from '#src/domain/id.ts'

/** Steps of all that are kept, and what they are kept for: this is an isolate's memory. */
const mostSteps = 5_000
const mostNames = 2_000

const versions = new Map<string, RunVersion>()
let steps = 0
/** Which version a pipeline had when a run of it was last seen, and which one a run goes by. */
const ofPipelines = new Map<string, RunVersion>()
const ofRuns = new Map<string, RunVersion>()

/** A version never changes, so whoever works on a run again, or starts the same pipeline, need not be told it again. */
export function rememberVersion(tenantId: TenantId, run: ClaimedRun): void {
  const { id, pipelineId, versionId, version, definition, plan } = run
  if (plan.length > mostSteps) return
  if (steps + plan.length > mostSteps || ofRuns.size >= mostNames) {
    for (const map of [versions, ofPipelines, ofRuns]) map.clear()
    steps = 0
  }
  const name = `${tenantId} ${versionId}`
  let known = versions.get(name)
  if (!known) {
    known = { versionId, version, definition, plan }
    versions.set(name, known)
    steps += plan.length
  }
  ofRuns.set(`${tenantId} ${id}`, known)
  const current = ofPipelines.get(`${tenantId} ${pipelineId}`)
  if (!current || current.version < version) ofPipelines.set(`${tenantId} ${pipelineId}`, known)
}

/** The version that a pipeline had when a run of it was last seen here; another may be the current one. */
export const knownVersion = (tenantId: TenantId, pipelineId: PipelineId): RunVersion | undefined =>
  ofPipelines.get(`${tenantId} ${pipelineId}`)

/** The version of a run that was worked on here. */
export const versionOfRun = (tenantId: TenantId, runId: RunId): RunVersion | undefined =>
  ofRuns.get(`${tenantId} ${runId}`)
