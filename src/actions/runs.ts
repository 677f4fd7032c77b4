import { getPipeline } from '#src/db/pipelines.ts'
import { cancelRun as cancelRunRow, startRun as startRunRow } from '#src/db/run-moves.ts'
import {
  getRun,
  listRuns,
  qualityOf,
  type QualityResult,
  type Run,
  type RunFilter,
  type Step,
} from '#src/db/runs.ts'
import { newId, type PipelineId, type RunId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { Problem } from '#src/domain/problem.ts'
import { can } from '#src/domain/role.ts'
import type { RunState } from '#src/domain/run-state.ts'
import { besideAnswer, startBudget } from '#src/engine/budget.ts'
import { leaseMs } from '#src/engine/lease.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context } from './context.ts'

/**
 * Starts a run of the pipeline's current version. It is in the database when this returns; its first steps are under way
 * beside the answer where they are small ones, else the wake-up follows.
 */
export async function startRun(
  ctx: Context,
  input: {
    pipelineId: PipelineId
    parameters?: Record<string, unknown> | undefined
    priority?: number | undefined
  },
): Promise<{ id: RunId; state: RunState; pipelineId: PipelineId }> {
  allow(ctx, 'runs:write')
  const checked = input.parameters
    ? await checkedParameters(ctx, input.pipelineId, input.parameters)
    : { parameters: {} }
  const id = newId('run', ctx.now())
  const { pipelineId } = input
  const delivery = { id: `here:${id}`, retry: false }
  const started = await startRunRow(ctx.tenantDb, {
    id,
    pipelineId,
    ...checked,
    trigger: 'manual',
    priority: input.priority,
    traceparent: ctx.traceparent,
    claim: ctx.services.neverHere ? undefined : { delivery: delivery.id, leaseMs, kinds: besideAnswer.kinds },
  })
  if ('refused' in started) {
    if (started.refused === 'parameters') await checkedParameters(ctx, pipelineId, {})
    throw new Problem('conflict', 'The pipeline was changed at this moment; start the run again.')
  }
  if ('wake' in started) {
    ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, id, [started.wake])))
    return { id, state: 'queued', pipelineId }
  }
  const budget = startBudget(ctx.services.now, besideAnswer.limits, besideAnswer.kinds)
  const { claim } = started
  ctx.defer(
    import('#src/engine/deliver.ts').then(({ carryOut }) =>
      carryOut(ctx.services, { tenantId: ctx.tenantId, runId: id }, claim, delivery, budget),
    ),
  )
  return { id, state: claim.outcome === 'claimed' ? 'running' : 'queued', pipelineId }
}

async function checkedParameters(ctx: Context, pipelineId: PipelineId, given: Record<string, unknown>) {
  const { definition, version } = await getPipeline(ctx.tenantDb, pipelineId)
  const resolved = resolveParameters(definition, given)
  if (!resolved.ok)
    throw new Problem('invalid', 'Some parameters are not valid.', { fields: resolved.fields })
  return { parameters: resolved.parameters, checkedFor: version }
}

export async function readRuns(
  ctx: Context,
  filter: Omit<RunFilter, 'before'>,
  page: PageRequest,
): Promise<Page<Run>> {
  allow(ctx, 'runs:read')
  const before = page.after?.[0] as RunId | undefined
  return toPage(await listRuns(ctx.tenantDb, { ...filter, before }, page.limit), page.limit, (run) => [
    run.id,
  ])
}

export async function readRun(ctx: Context, id: RunId): Promise<Run & { steps: Step[] }> {
  allow(ctx, 'runs:read')
  const run = await getRun(ctx.tenantDb, id)
  return can(ctx.actor, 'runs:write') ? run : { ...run, steps: run.steps.map(withoutCallback) }
}

/** Who knows the address of a callback can answer in its step's place. */
function withoutCallback(step: Step): Step {
  if (!step.waitsFor?.callback) return step
  const { callback: _, ...waitsFor } = step.waitsFor
  return { ...step, waitsFor }
}

export async function readQuality(ctx: Context, id: RunId): Promise<QualityResult[]> {
  allow(ctx, 'runs:read')
  return qualityOf(ctx.tenantDb, id)
}

/** Asks a run to stop; one that is over already is a conflict. */
export async function cancelRun(ctx: Context, id: RunId): Promise<{ id: RunId; state: RunState }> {
  allow(ctx, 'runs:write')
  const { runState, over, wakes } = await cancelRunRow(ctx.tenantDb, id)
  if (over) throw new Problem('conflict', `The run is ${runState} already.`)
  if (wakes) ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, id, wakes)))
  ctx.services.live(ctx.tenantId, id, true)
  return { id, state: runState }
}
