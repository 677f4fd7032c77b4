import {
  dismissDeadLetter as dismissRow,
  getDeadLetter,
  listDeadLetters,
  replayDeadLetter as replayRow,
  replayDeadLetters as replayRows,
  type DeadLetter,
  type DeadLetterFilter,
  type FailedItem,
  type LetterEvent,
  type Replays,
} from '#src/db/dead-letters.ts'
import { versionsFor } from '#src/db/datasets.ts'
import { newId, type DatasetVersionId, type DeadLetterId, type RunId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import { readBy } from '#src/domain/pipeline-graph.ts'
import { Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { refusal, sendWakes } from './control.ts'

/** Each is one run that is made, woken and delivered; a thousand of them is as much as one request should start. */
const mostReplays = 1_000

export async function readDeadLetters(
  ctx: Context,
  filter: DeadLetterFilter & { state?: DeadLetter['state'] | undefined },
  page: PageRequest,
): Promise<Page<DeadLetter>> {
  allow(ctx, 'runs:read')
  const before = page.after?.[0] as DeadLetterId | undefined
  const found = await listDeadLetters(ctx.tenantDb, { ...filter, before }, page.limit)
  return toPage(found, page.limit, (letter) => [letter.id])
}

export type Input = { dataset: string; versionId: DatasetVersionId; rows: number }

/** A dead letter with what happened to its step, and the versions that a replay of it would read. */
export async function readDeadLetter(
  ctx: Context,
  id: DeadLetterId,
): Promise<DeadLetter & { events: LetterEvent[]; items: FailedItem[]; inputs: Input[] }> {
  allow(ctx, 'runs:read', { kind: 'letter', id })
  const { definition, ...letter } = await getDeadLetter(ctx.tenantDb, id)
  return { ...letter, inputs: await inputsOf(ctx, letter, definition) }
}

async function inputsOf(
  ctx: Context,
  { runId, stepKey }: DeadLetter,
  definition: Definition,
): Promise<Input[]> {
  const step = definition.steps.find(({ id }) => id === stepKey)
  if (!step) return []
  const checked =
    step.kind === 'sql' ? await ctx.services.parser.checkSelect(step.sql, definition.parameters) : undefined
  const names = readBy(step, new Map(checked?.ok ? [[step.id, checked]] : []))
  if (names.length === 0) return []
  const versions = await versionsFor(ctx.tenantDb, runId, names)
  return [...versions.values()].map(({ name, id, rows }) => ({ dataset: name, versionId: id, rows }))
}

/** Has the run of the letter done again from what failed, once. */
export async function replayDeadLetter(
  ctx: Context,
  id: DeadLetterId,
  reason: string | undefined,
): Promise<{ runId: RunId }> {
  allow(ctx, 'runs:write', { kind: 'letter', id })
  const runId = newId('run', ctx.now())
  const made = await replayRow(ctx.tenantDb, id, runId, { traceparent: ctx.traceparent, reason })
  if ('refused' in made) throw made.refused === 'resolved' ? resolved(made) : refusal(made, 'failed')
  sendWakes(ctx, [{ id: made.outboxId, runId }])
  return { runId }
}

/** The same for all that is open and fits; asked twice, the second finds nothing open. */
export async function replayDeadLetters(
  ctx: Context,
  filter: DeadLetterFilter,
  { limit = mostReplays, reason }: { limit?: number | undefined; reason?: string | undefined },
): Promise<Replays> {
  allow(ctx, 'runs:write', filter.pipelineId && { kind: 'pipeline', id: filter.pipelineId })
  const options = { traceparent: ctx.traceparent, reason }
  const done = await replayRows(ctx.tenantDb, filter, Math.min(limit, mostReplays), ctx.now(), options)
  sendWakes(
    ctx,
    done.replayed.map(({ outboxId, runId }) => ({ id: outboxId, runId })),
  )
  return done
}

export async function dismissDeadLetter(
  ctx: Context,
  id: DeadLetterId,
  reason: string | undefined,
): Promise<void> {
  allow(ctx, 'runs:write', { kind: 'letter', id })
  const { refused, state } = await dismissRow(ctx.tenantDb, id, reason)
  if (refused) throw resolved({ state: state ?? 'dismissed', runId: null })
}

const resolved = ({ state, runId }: { state: 'replayed' | 'dismissed'; runId: RunId | null }) =>
  new Problem('conflict', `The dead letter was ${state} already${runId ? `, by ${runId}` : ''}.`)
