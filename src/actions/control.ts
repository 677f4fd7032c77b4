import {
  limitTenant as limitTenantRow,
  markRun as markRunRow,
  markStep as markStepRow,
  openConnectionAgain,
  pausePipeline as pausePipelineRow,
  rerunRun as rerunRunRow,
  resumePipeline as resumePipelineRow,
  setPriority as setPriorityRow,
  type Mark,
  type Marked,
  type Pause,
  type RerunOptions,
  type RerunRefusal,
} from '#src/db/control.ts'
import { getConnection, type Connection } from '#src/db/connections.ts'
import { getPipeline } from '#src/db/pipelines.ts'
import type { Wake } from '#src/db/run-moves.ts'
import { getRun } from '#src/db/runs.ts'
import { newId, type ConnectionId, type PipelineId, type RunId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { Problem } from '#src/domain/problem.ts'
import { quotaProblem } from '#src/domain/quota.ts'
import type { RunState } from '#src/domain/run-state.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { refuseInPlaceOf } from './approvals.ts'
import { allow, type Context } from './context.ts'

/** Nothing of the pipeline starts until it is resumed; what has begun goes on. */
export async function pausePipeline(
  ctx: Context,
  id: PipelineId,
  reason: string | undefined,
): Promise<Pause> {
  allow(ctx, 'runs:write', { kind: 'pipeline', id })
  return pausePipelineRow(ctx.tenantDb, id, reason)
}

export async function resumePipeline(ctx: Context, id: PipelineId): Promise<void> {
  allow(ctx, 'runs:write', { kind: 'pipeline', id })
  sendWakes(ctx, (await resumePipelineRow(ctx.tenantDb, id)).wakes)
}

/** How many runs of the tenant may be at work at once. */
export async function limitTenant(ctx: Context, concurrency: number | null): Promise<void> {
  allow(ctx, 'limits:write')
  sendWakes(ctx, (await limitTenantRow(ctx.tenantDb, concurrency)).wakes)
}

/** Ends the rest that a connection takes after outages. */
export async function resetConnection(ctx: Context, id: ConnectionId): Promise<Connection> {
  allow(ctx, 'connections:write', { kind: 'connection', id })
  sendWakes(ctx, (await openConnectionAgain(ctx.tenantDb, id, true)).wakes)
  return getConnection(ctx.tenantDb, id)
}

export async function setPriority(
  ctx: Context,
  id: RunId,
  { priority, reason }: { priority: number; reason?: string | undefined },
): Promise<{ id: RunId; state: RunState; priority: number }> {
  allow(ctx, 'runs:write', { kind: 'run', id })
  const { refused, runState } = await setPriorityRow(ctx.tenantDb, id, priority, reason)
  if (refused) throw new Problem('conflict', `The run is ${runState}: a priority only counts in the queue.`)
  return { id, state: runState, priority }
}

export type RerunRequest = {
  /** 'failed', 'all', or the step to begin from. */
  from: string
  version?: 'same' | 'current' | undefined
  reason?: string | undefined
}

/** Makes a new run of a finished one: some steps are done again, the others are taken over as they ended. */
export async function rerunRun(
  ctx: Context,
  of: RunId,
  { from, version, reason }: RerunRequest,
): Promise<{ id: RunId; state: RunState; rerunOf: RunId }> {
  allow(ctx, 'runs:write', { kind: 'run', id: of })
  const options: RerunOptions = { traceparent: ctx.traceparent, reason }
  if (version === 'current') Object.assign(options, await currentParameters(ctx, of))
  const id = newId('run', ctx.now())
  const made = await rerunRunRow(ctx.tenantDb, id, of, from, options)
  if ('refused' in made) throw refusal(made, from)
  sendWakes(ctx, [{ id: made.outboxId, runId: id }])
  return { id, state: 'queued', rerunOf: of }
}

/** The parameters that the run had, checked against the definition that is current by now. */
async function currentParameters(
  ctx: Context,
  of: RunId,
): Promise<Pick<RerunOptions, 'parameters' | 'checkedFor'>> {
  const { pipelineId, parameters: given } = await getRun(ctx.tenantDb, of)
  const { definition, version } = await getPipeline(ctx.tenantDb, pipelineId)
  const resolved = resolveParameters(definition, given)
  if (!resolved.ok) {
    throw new Problem('invalid', 'The parameters of the run are not those of the current version.', {
      fields: resolved.fields,
    })
  }
  return { parameters: resolved.parameters, checkedFor: version }
}

/** Why a run cannot be done again, in words. */
export function refusal(refused: RerunRefusal, from: string): Problem {
  switch (refused.refused) {
    case 'quota':
      return quotaProblem(refused.quota, true)
    case 'open':
      return new Problem('conflict', 'The run is still under way; wait for its end, or cancel it.')
    case 'deleted':
      return new Problem('conflict', 'Its pipeline was deleted.')
    case 'version':
      return new Problem('conflict', 'The pipeline was changed at this moment; ask again.')
    case 'nothing':
      return new Problem('conflict', 'Nothing of this run has failed; to do it all again, say "all".')
    case 'skipped':
      return new Problem(
        'conflict',
        `Nothing would run: the steps before "${from}" did not end as it wants them to; begin further up.`,
      )
    case 'dropped':
      return new Problem(
        'conflict',
        `The rows that step "${refused.step}" made are not kept any more; begin from that step.`,
      )
    case 'step':
      return new Problem('invalid', 'Some fields are not valid.', {
        fields: [{ path: 'from', message: `must be "failed", "all" or a step: there is no step "${from}"` }],
      })
  }
}

export async function markStep(
  ctx: Context,
  id: RunId,
  step: string,
  { as, reason }: { as: Mark; reason: string },
): Promise<{ id: RunId; state: RunState }> {
  allow(ctx, 'runs:write', { kind: 'run', id })
  if (as === 'succeeded') await refuseInPlaceOf(ctx, id, step)
  return marked(ctx, id, await markStepRow(ctx.tenantDb, id, step, as, reason))
}

export async function markRun(
  ctx: Context,
  id: RunId,
  { as, reason }: { as: Mark; reason: string },
): Promise<{ id: RunId; state: RunState }> {
  allow(ctx, 'runs:write', { kind: 'run', id })
  if (as === 'succeeded') await refuseInPlaceOf(ctx, id)
  return marked(ctx, id, await markRunRow(ctx.tenantDb, id, as, reason))
}

function marked(ctx: Context, id: RunId, result: Marked): { id: RunId; state: RunState } {
  if ('stepState' in result) {
    const why =
      result.refused === 'pending'
        ? 'The step is pending: mark what it waits for.'
        : `The step is ${result.stepState} already.`
    throw new Problem('conflict', why)
  }
  if ('refused' in result) throw new Problem('conflict', `The run is ${result.runState} already.`)
  sendWakes(ctx, result.wakes, id)
  ctx.services.live(ctx.tenantId, id, true)
  return { id, state: result.runState }
}

/** Publishes wake-ups that the outbox holds; each names its run, or it is `runId`'s. */
export function sendWakes(ctx: Context, wakes: readonly Wake[], runId?: RunId): void {
  const messages: Message[] = wakes.flatMap((wake) => {
    const run = wake.runId ?? runId
    return run ? wakeMessages(ctx.tenantId, run, [wake]) : []
  })
  if (messages.length > 0) ctx.defer(ctx.services.send(ctx.tenantId, messages))
}
