import {
  getBackfill,
  listBackfills,
  moveBackfill,
  startBackfill as startBackfillRow,
  stopBackfillRuns,
  type Backfill,
  type BackfillId,
  type BackfillState,
} from '#src/db/backfills.ts'
import { daysOfCalendars } from '#src/db/calendars.ts'
import { getPipeline } from '#src/db/pipelines.ts'
import type { Wake } from '#src/db/run-moves.ts'
import { edgeOf, mostTimes, partitions, timesBetween, type Partition } from '#src/domain/backfill.ts'
import { newId, type PipelineId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { Problem } from '#src/domain/problem.ts'
import { scheduleProblem, type Times } from '#src/domain/schedule.ts'
import type { Trigger } from '#src/domain/trigger.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context } from './context.ts'

export type NewBackfill = {
  from: string
  to: string
  by?: Partition | undefined
  cron?: string | undefined
  timezone?: string | undefined
  order: 'oldest' | 'newest'
  concurrency: number
  skipSucceeded: boolean
  parameters?: Record<string, unknown> | undefined
}

const bad = (path: string, message: string) =>
  new Problem('invalid', 'Some fields are not valid.', { fields: [{ path, message }] })

/** Starts runs for all times of a range, so many at once; each that ends makes room for the next. */
export async function startBackfill(
  ctx: Context,
  pipelineId: PipelineId,
  input: NewBackfill,
): Promise<Backfill> {
  allow(ctx, 'runs:write', { kind: 'pipeline', id: pipelineId })
  const { definition, version } = await getPipeline(ctx.tenantDb, pipelineId)
  const resolved = resolveParameters(definition, input.parameters ?? {})
  if (!resolved.ok)
    throw new Problem('invalid', 'Some parameters are not valid.', { fields: resolved.fields })
  const asked = await timesAsked(ctx, input, definition.triggers)
  const [from, to] = [
    edgeOf(input.from, asked.timezone, 'from'),
    edgeOf(input.to, asked.timezone, 'to'),
  ] as const
  if (from > to) throw bad('to', 'must not be before `from`')
  const times = timesBetween(asked, from, to, mostTimes)
  if (!times) throw bad('to', `makes more than ${mostTimes} runs: ask for a shorter range`)
  if (times.length === 0) throw bad('to', 'leaves no time in the range')
  const id = newId('backfill', ctx.now())
  const wakes = await startBackfillRow(ctx.tenantDb, {
    id,
    pipelineId,
    version,
    asked: {
      from: input.from,
      to: input.to,
      cron: asked.cron,
      timezone: asked.timezone,
      order: input.order,
    },
    parameters: resolved.parameters,
    times: input.order === 'newest' ? times.toReversed() : times,
    concurrency: input.concurrency,
    skipSucceeded: input.skipSucceeded,
  })
  send(ctx, wakes)
  return getBackfill(ctx.tenantDb, id)
}

/** Those of the request, or else of the pipeline's only schedule. */
async function timesAsked(
  ctx: Context,
  { by, cron, timezone = 'UTC' }: NewBackfill,
  triggers: readonly Trigger[],
): Promise<Times> {
  if (by && cron) throw bad('cron', 'says the same as `by`: give one of them')
  const wanted = by ? partitions[by] : cron
  if (wanted) {
    const problem = scheduleProblem(wanted, timezone)
    if (problem) throw bad(by ? 'timezone' : 'cron', problem)
    return { cron: wanted, timezone }
  }
  const schedules = triggers.flatMap((trigger) => ('cron' in trigger ? [trigger] : []))
  const [only] = schedules
  if (!only || schedules.length > 1)
    throw bad('by', 'must be given, or `cron`: the pipeline has not just one schedule')
  const calendars = await daysOfCalendars(ctx.tenantDb, only.calendar ? [only.calendar] : [])
  return {
    cron: only.cron,
    timezone: only.timezone,
    days: only.calendar ? calendars.get(only.calendar) : undefined,
  }
}

function send(ctx: Context, wakes: readonly Wake[]): void {
  const runId = wakes[0]?.runId
  if (runId) ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, runId, wakes)))
}

export async function readBackfill(ctx: Context, id: BackfillId): Promise<Backfill> {
  allow(ctx, 'runs:read', { kind: 'backfill', id })
  return getBackfill(ctx.tenantDb, id)
}

export async function readBackfills(
  ctx: Context,
  pipelineId: PipelineId | undefined,
  page: PageRequest,
): Promise<Page<Backfill>> {
  allow(ctx, 'runs:read')
  const before = page.after?.[0] as BackfillId | undefined
  const found = await listBackfills(ctx.tenantDb, pipelineId, before, page.limit)
  if (found.length === 0 && pipelineId) await getPipeline(ctx.tenantDb, pipelineId)
  return toPage(found, page.limit, ({ id }) => [id])
}

const moves = {
  pause: { from: ['running'], to: 'paused' },
  resume: { from: ['paused'], to: 'running' },
  // Cancelled again it stops what a first attempt, cut short, has left.
  cancel: { from: ['running', 'paused', 'cancelled'], to: 'cancelled' },
} as const satisfies Record<string, { from: readonly BackfillState[]; to: BackfillState }>

/** Paused, a backfill starts nothing more; cancelled, it stops what is under way too. */
export async function moveBackfillBy(
  ctx: Context,
  id: BackfillId,
  move: keyof typeof moves,
): Promise<Backfill> {
  allow(ctx, 'runs:write', { kind: 'backfill', id })
  const { from, to } = moves[move]
  const wakes = await moveBackfill(ctx.tenantDb, id, from, to)
  if (!wakes) {
    const { state } = await getBackfill(ctx.tenantDb, id)
    throw new Problem('conflict', `The backfill is ${state} already.`)
  }
  send(ctx, wakes)
  // No run is started any more by now, so these are all.
  if (move === 'cancel') send(ctx, await stopBackfillRuns(ctx.tenantDb, id))
  return getBackfill(ctx.tenantDb, id)
}
