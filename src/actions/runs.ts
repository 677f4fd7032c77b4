import { getPipeline } from '#src/db/pipelines.ts'
import {
  cancelRun as cancelRunRow,
  startRun as startRunRow,
  type Claim,
  type RunVersion,
} from '#src/db/run-moves.ts'
import {
  getRun,
  getStep,
  listItems,
  listRuns,
  qualityOf,
  type Item,
  type QualityResult,
  type Run,
  type RunFilter,
  type Step,
} from '#src/db/runs.ts'
import { newId, type PipelineId, type RunId } from '#src/domain/id.ts'
import { indexOfItem } from '#src/domain/item-place.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { Problem } from '#src/domain/problem.ts'
import { can } from '#src/domain/role.ts'
import type { RunState, StepState } from '#src/domain/run-state.ts'
import { besideAnswer, startBudgetBeside, type Budget } from '#src/engine/budget.ts'
import { knownVersion, rememberVersion } from '#src/engine/known-versions.ts'
import { leaseMs } from '#src/engine/lease.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context } from './context.ts'
import { quotaRefusal } from './quotas.ts'

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
  allow(ctx, 'runs:write', { kind: 'pipeline', id: input.pipelineId })
  const checked = input.parameters
    ? await checkedParameters(ctx, input.pipelineId, input.parameters)
    : { parameters: {} }
  const id = newId('run', ctx.now())
  const { pipelineId } = input
  const delivery = { id: `here:${id}`, retry: false }
  const budget = startBudgetBeside(ctx.services.now, ctx.services.deliveryLimits)
  const known = knownVersion(ctx.tenantId, pipelineId)
  const started = await startRunRow(ctx.tenantDb, {
    id,
    pipelineId,
    ...checked,
    trigger: 'manual',
    priority: input.priority,
    traceparent: ctx.traceparent,
    claim: ctx.services.neverHere
      ? undefined
      : {
          delivery: delivery.id,
          leaseMs,
          kinds: besideAnswer.kinds,
          known,
          ended: await endedWithStart(ctx, { id, pipelineId, parameters: checked.parameters }, budget, known),
        },
  })
  if ('refused' in started) {
    if (started.refused === 'quota') throw quotaRefusal(ctx, started.quota)
    if (started.refused === 'parameters') await checkedParameters(ctx, pipelineId, {})
    throw new Problem('conflict', 'The pipeline was changed at this moment; start the run again.')
  }
  if ('wake' in started) {
    ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, id, [started.wake])))
    return { id, state: 'queued', pipelineId }
  }
  const { claim } = started
  if (claim.outcome === 'claimed') {
    rememberVersion(ctx.tenantId, claim.run)
    ctx.defer(
      import('#src/engine/deliver.ts').then(({ carryOut }) =>
        carryOut(ctx.services, { tenantId: ctx.tenantId, runId: id }, claim, delivery, budget),
      ),
    )
  } else if (claim.wakes && claim.wakes.length > 0)
    ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, id, claim.wakes)))
  return { id, state: stateOf(claim), pipelineId }
}

function stateOf(claim: Claim): RunState {
  if (claim.outcome === 'claimed') return 'running'
  return claim.runState ?? 'queued'
}

/** What the first steps come to where that can be told from a version that is known here. */
async function endedWithStart(
  ctx: Context,
  run: { id: RunId; pipelineId: PipelineId; parameters: Record<string, unknown> },
  budget: Budget,
  known: RunVersion | undefined,
) {
  const resolved = known && resolveParameters(known.definition, run.parameters)
  if (!known || !resolved?.ok) return undefined
  const { workBefore } = await import('#src/engine/ahead.ts')
  const { parameters } = resolved
  const { traceparent } = ctx
  const started = { ...run, ...known, parameters, traceparent, deadlineAt: null, scheduledFor: null }
  const steps = await workBefore(ctx.services, ctx.tenantDb, { ...started, trigger: 'manual' }, budget)
  return steps.length > 0 ? { version: known.version, steps } : undefined
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
  allow(ctx, 'runs:read', { kind: 'run', id })
  const run = await getRun(ctx.tenantDb, id)
  return can(ctx.actor, 'runs:write') ? run : { ...run, steps: run.steps.map(withoutCallback) }
}

/** One step and its output, which a run's page leaves out: of a thousand steps nobody wants all. */
export async function readStep(ctx: Context, id: RunId, key: string): ReturnType<typeof getStep> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  const step = await getStep(ctx.tenantDb, id, key)
  return can(ctx.actor, 'runs:write') ? step : withoutCallback(step)
}

/** The items of a mapped step: of ten thousand nobody wants all at once. */
export async function readItems(
  ctx: Context,
  id: RunId,
  key: string,
  filter: { state?: StepState | undefined; outer?: number | undefined },
  page: PageRequest,
): Promise<Page<Item>> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  const after = Number(page.after?.[0] ?? 0)
  const found = toPage(
    await listItems(ctx.tenantDb, id, key, { ...filter, after }, page.limit),
    page.limit,
    (item) => [String(indexOfItem(item))],
  )
  return can(ctx.actor, 'runs:write') ? found : { ...found, items: found.items.map(withoutCallback) }
}

/** Who knows the address of a callback can answer in its step's place. */
function withoutCallback<T extends Step | Item>(step: T): T {
  if (!step.waitsFor?.callback) return step
  const { callback: _, ...waitsFor } = step.waitsFor
  return { ...step, waitsFor }
}

export async function readQuality(ctx: Context, id: RunId): Promise<QualityResult[]> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  return qualityOf(ctx.tenantDb, id)
}

/** Asks a run to stop; one that is over already is a conflict. */
export async function cancelRun(ctx: Context, id: RunId): Promise<{ id: RunId; state: RunState }> {
  allow(ctx, 'runs:write', { kind: 'run', id })
  const { runState, over, wakes } = await cancelRunRow(ctx.tenantDb, id)
  if (over) throw new Problem('conflict', `The run is ${runState} already.`)
  if (wakes) ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, id, wakes)))
  ctx.services.live(ctx.tenantId, id, true)
  return { id, state: runState }
}
