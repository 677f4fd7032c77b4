import { sql } from 'drizzle-orm'
import type { PipelineId, RunId } from '#src/domain/id.ts'
import type { Json } from '#src/domain/json.ts'
import type { Parameters } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import { notFound } from '#src/domain/problem.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import type { RunState, RunTrigger } from '#src/domain/run-state.ts'
import type { TenantDb } from './database.ts'
import { statement, type Statement } from './statement.ts'

/** A message in the outbox that is to be published now: a wake-up, `notBefore` where it has to wait, or a notice. */
export type Wake = { id: number; runId?: RunId; notBefore?: string | null; job?: 'notify' }

export type ClaimedStep = {
  key: string
  mapIndex: number
  kind: string
  attempt: number
  fence: number
  cursor: Record<string, unknown> | null
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  /** When the attempt under way began. */
  attemptAt: string
  /** What came from outside while it waited. */
  answer?: Json | null
  /** What the steps that it names have given. */
  outputs?: Record<string, Json> | null
  /** Of an item of a map inside another one: the item that the map stands in, and what the steps before it have given. */
  around?: { item: Json; outputs: Record<string, Json> | null } | null
}

/** What a run goes by: it never changes. */
export type RunVersion = {
  versionId: string
  version: number
  definition: Definition
  plan: readonly PlannedStep[]
}

export type ClaimedRun = RunVersion & {
  id: RunId
  pipelineId: PipelineId
  parameters: Parameters
  traceparent: string | null
  deadlineAt: string | null
  scheduledFor: string | null
  trigger: RunTrigger
}

export type Claim =
  | { outcome: 'over' | 'queued'; wakes?: Wake[]; runState?: RunState }
  | { outcome: 'idle'; wakes: Wake[]; runState?: RunState }
  | { outcome: 'claimed'; run: ClaimedRun; step: ClaimedStep; wakes: Wake[] }

/** Who is asking: the message, and whether an earlier attempt to deliver it failed. */
export type Delivery = { id: string; retry: boolean }

export type StepResult = {
  state: 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'waiting' | 'ready'
  /** For waiting and ready: when to go on. */
  delayMs?: number
  /** A continuation of the same attempt in another delivery. */
  yielded?: true
  rowsIn?: number
  rowsOut?: number
  rowsRejected?: number
  warned?: boolean
  /** Why it was skipped. */
  reason?: 'condition'
  /** What is missing from rowsIn in the version that the step made is rejected. */
  rejects?: true
  error?: { code: string; message: string }
  cursor?: Record<string, unknown> | null
  /** What later steps may use of it, beside its rows. */
  output?: Record<string, Json>
  /** For waiting: what an answer has to name. */
  answerKey?: string
  /** For waiting: items to be worked on, so many at once; the first ones may have ended already. */
  map?: { total: number; atOnce: number; ended: number }
}

export type Completion = { runState: RunState; step?: ClaimedStep | null; wakes: Wake[] }

export type Started = { wake: Wake } | { claim: Claim }

export type RunRefusal = { refused: 'version' | 'parameters' } | { refused: 'quota'; quota: QuotaStanding }

export type NewRun = {
  id: RunId
  pipelineId: PipelineId
  /** Checked against version `checkedFor`; without it there are none, and a version that needs some is not started. */
  parameters: Record<string, unknown>
  checkedFor?: number | undefined
  trigger: RunTrigger
  traceparent?: string | undefined
  /** Instead of the definition's. */
  priority?: number | undefined
  /**
   * Begins with it at once where all that can start is of these kinds. `ended` is what its first steps come to in this
   * version; it is forgotten when that is not the current one.
   */
  claim?:
    | {
        delivery: string
        leaseMs: number
        kinds: readonly string[]
        /** Need not be told again. */
        known?: RunVersion | undefined
        ended?: { version: number; steps: readonly { key: string; result: StepResult }[] } | undefined
      }
    | undefined
}

/**
 * Starts a run of the pipeline's current version, if its parameters are good for that one; see app.start_run. What it gives
 * is the wake-up to publish, or the first claim.
 */
export async function startRun(db: TenantDb, run: NewRun): Promise<Started | RunRefusal> {
  const { parameters, checkedFor, traceparent, priority, claim } = run
  const { known, ...asked } = claim ?? {}
  const options = JSON.stringify({
    parameters,
    checkedFor,
    traceparent,
    priority,
    claim: claim && { ...asked, knows: known?.versionId },
  })
  const started = await db.call<
    { outboxId: number } | { claim: Claim; completion?: Completion } | RunRefusal | null
  >(sql`app.start_run(${run.id}, ${run.pipelineId}, ${run.trigger}, ${options}::jsonb)`)
  if (!started) throw notFound('pipeline')
  if ('outboxId' in started) return { wake: { id: started.outboxId, runId: run.id } }
  if (!('claim' in started)) return started
  return { claim: withVersion(afterwards(started.claim, started.completion), known) }
}

/** What is left to do when the first steps have ended with the start. */
function afterwards(claim: Claim, completion: Completion | undefined): Claim {
  if (!completion || claim.outcome !== 'claimed') return claim
  const { step, runState } = completion
  const wakes = [...claim.wakes, ...completion.wakes]
  return step ? { ...claim, step, wakes } : { outcome: 'idle', wakes, runState }
}

/** The version that was known is not told again. */
function withVersion(claim: Claim, known: RunVersion | undefined): Claim {
  return claim.outcome === 'claimed' && known ? { ...claim, run: { ...known, ...claim.run } } : claim
}

/** @param known the version that the run is thought to go by, which is then not told */
export async function claimStep(
  db: TenantDb,
  runId: RunId,
  outboxId: number | undefined,
  delivery: Delivery,
  leaseMs: number,
  known?: RunVersion,
): Promise<Claim> {
  const claim = await db.call<Claim>(
    sql`app.claim_step(${runId}, ${outboxId ?? null}, ${delivery.id}, ${delivery.retry}, ${leaseMs}, ${known?.versionId ?? null})`,
  )
  return withVersion(claim, known)
}

/**
 * The statement that completes a step, to stand last in the transaction that wrote what the step made.
 * @param leaseMs of the next step that the delivery is to have; null when it takes none, and hands on what could start
 * @param ahead what follows from it and has ended as well, if nothing has come between; see app.end_ahead
 */
export const completion = (
  runId: RunId,
  { key, mapIndex, fence }: ClaimedStep,
  result: StepResult,
  delivery: Delivery,
  leaseMs: number | null,
  ahead: readonly { key: string; result: StepResult }[] = [],
): Statement => {
  const others = ahead.length > 0 ? JSON.stringify(ahead) : null
  return statement(
    sql`select app.complete_step(${runId}, ${key}, ${mapIndex}, ${fence}, ${JSON.stringify(result)}::jsonb, ${delivery.id}, ${leaseMs}, ${others}::jsonb) as value`,
  )
}

export const renewLease = (
  db: TenantDb,
  runId: RunId,
  step: ClaimedStep,
  leaseMs: number,
): Promise<'held' | 'cancelling' | 'lost'> =>
  db.call(sql`app.renew_lease(${runId}, ${step.key}, ${step.mapIndex}, ${step.fence}, ${leaseMs})`)

export async function cancelRun(
  db: TenantDb,
  runId: RunId,
): Promise<{ runState: RunState; over?: true; wakes?: Wake[] }> {
  const cancelled = await db.call<{ runState: RunState; over?: true; wakes?: Wake[] } | null>(
    sql`app.cancel_run(${runId})`,
  )
  if (!cancelled) throw notFound('run')
  return cancelled
}
