import type { TenantDb } from '#src/db/database.ts'
import { isUnavailable, RunCancelled, stepFailureOf, StepLost } from '#src/db/failure.ts'
import {
  claimStep,
  completion,
  type ClaimedRun,
  type ClaimedStep,
  type Completion,
  type Delivery,
  type StepResult,
  type Wake,
} from '#src/db/runs.ts'
import type { Statement } from '#src/db/statement.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { RunId, TenantId } from '#src/domain/id.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import type { Step } from '#src/domain/pipeline.ts'
import { retryDelayMs } from '#src/domain/retry.ts'
import { startBudget, type Budget } from './budget.ts'
import { executeStep } from './execute.ts'
import { wakeMessages } from './wake.ts'
import { holdLease, leaseMs } from './lease.ts'
import type { EngineServices } from './services.ts'
import type { StepOutcome } from './step.ts'

/** Attempts that ended without a word, beyond those of the retry policy, before a step counts as one that kills its Worker. */
const silentAttempts = 10

export type WakeUp = { tenantId: TenantId; runId: RunId; outboxId?: number | undefined }

/**
 * One delivery: claims a step, executes it, completes it together with what it wrote and claims the next, until nothing
 * can start or the budget is spent. May run twice, late, or beside another delivery of the same run.
 */
export async function deliver(services: EngineServices, wakeUp: WakeUp, delivery: Delivery): Promise<void> {
  const { tenantId, runId } = wakeUp
  const db = services.database.tenant(tenantId, 'job')
  const sending: Promise<void>[] = []
  const send = (wakes: readonly Wake[] | undefined) => {
    if (wakes && wakes.length > 0) {
      sending.push(services.send(tenantId, wakeMessages(tenantId, runId, wakes)))
    }
  }
  try {
    const claim = await claimStep(db, runId, wakeUp.outboxId, delivery, leaseMs)
    send(claim.wakes)
    services.live(tenantId, runId)
    if (claim.outcome !== 'claimed') return
    const budget = startBudget(services.now, services.deliveryLimits)
    const run = withDefaults(claim.run)
    let step: ClaimedStep | null | undefined = claim.step
    while (step) {
      const completed: Completion | undefined = await workOn(services, db, run, step, delivery, budget)
      send(completed?.wakes)
      step = completed?.step
      services.live(tenantId, runId, !step)
      if (step && budget.isSpent()) {
        send((await complete(db, runId, step, yielded, delivery)).wakes)
        step = null
      }
    }
  } catch (error) {
    if (error instanceof StepLost) return
    throw error
  } finally {
    await Promise.allSettled(sending)
  }
}

/** A run that nobody gave parameters, such as a scheduled one, has the defaults of its version. */
function withDefaults(run: ClaimedRun): ClaimedRun {
  const resolved = resolveParameters(run.definition, run.parameters)
  return resolved.ok ? { ...run, parameters: resolved.parameters } : run
}

const yielded: StepOutcome = { result: { state: 'ready', yielded: true } }

async function workOn(
  services: EngineServices,
  db: TenantDb,
  run: ClaimedRun,
  claimed: ClaimedStep,
  delivery: Delivery,
  budget: Budget,
): Promise<Completion | undefined> {
  const definition = run.definition.steps.find((step) => step.id === claimed.key)
  if (!definition) throw new Error(`the definition of ${run.id} has no step ${claimed.key}`)
  const remainingMs = run.deadlineAt ? Date.parse(run.deadlineAt) - services.now().getTime() : undefined
  const limit = timeLimit(definition.timeoutMs, remainingMs)
  const lease = holdLease(db, run.id, claimed, limit?.ms)
  const leftBehind: Statement[] = []
  budget.spend(1)
  try {
    refuseHopeless(claimed, run, definition, remainingMs)
    const outcome = await executeStep({
      services,
      db,
      run,
      claimed,
      definition,
      budget,
      signal: lease.signal,
      progress: () => services.live(db.tenantId, run.id),
      leftBehind,
    })
    return await complete(db, run.id, claimed, outcome, delivery, lease.signal)
  } catch (thrown) {
    const error = stepFailureOf(lease.signal.aborted ? lease.signal.reason : thrown, `step ${claimed.key}`)
    if (error instanceof StepLost) throw error
    const result = resultOf(error, definition, run, claimed, services, limit)
    if (!result) throw error
    return await complete(
      db,
      run.id,
      claimed,
      { result, statements: result.state === 'ready' ? [] : leftBehind },
      delivery,
    )
  } finally {
    lease.release()
  }
}

type TimeLimit = { ms: number; of: 'step' | 'run' }

/** The step's own time limit, or what is left of the run's where that is less. */
function timeLimit(stepMs: number | undefined, remainingMs: number | undefined): TimeLimit | undefined {
  if (remainingMs !== undefined && remainingMs < (stepMs ?? Infinity))
    return { ms: Math.max(remainingMs, 0), of: 'run' }
  return stepMs === undefined ? undefined : { ms: stepMs, of: 'step' }
}

async function complete(
  db: TenantDb,
  runId: RunId,
  step: ClaimedStep,
  outcome: StepOutcome,
  delivery: Delivery,
  signal?: AbortSignal,
): Promise<Completion> {
  const statements = [
    ...(outcome.statements ?? []),
    completion(runId, step, outcome.result, delivery, leaseMs),
  ]
  try {
    const results = await db.statements(statements, signal)
    return results.at(-1)?.rows[0]?.['value'] as Completion
  } catch (thrown) {
    const error = stepFailureOf(thrown, `step ${step.key}`)
    if (!(error instanceof StepFailure) || error.code !== 'sql_failed') throw error
    throw (await outcome.explain?.().catch(() => undefined)) ?? error
  }
}

function refuseHopeless(
  claimed: ClaimedStep,
  run: ClaimedRun,
  definition: Step,
  remainingMs: number | undefined,
): void {
  if (remainingMs !== undefined && remainingMs <= 0) {
    throw new StepFailure('run_timeout', 'The run passed its time limit before this step could start.')
  }
  const { attempts } = definition.retry ?? run.definition.retry
  if (claimed.attempt > attempts + silentAttempts) {
    throw new StepFailure(
      'crashed',
      `The step ended ${claimed.attempt - 1} times without a word, so it is not tried again.`,
    )
  }
}

/** What an error makes of the step; undefined leaves it to the next delivery, because nothing can be written now. */
function resultOf(
  error: unknown,
  definition: Step,
  run: ClaimedRun,
  claimed: ClaimedStep,
  services: EngineServices,
  limit: TimeLimit | undefined,
): StepResult | undefined {
  if (error instanceof RunCancelled) return { state: 'cancelled' }
  if (isUnavailable(error)) return undefined
  const failure = wordsFor(error, claimed, limit)
  if (!(error instanceof StepFailure)) {
    services.log({
      event: 'step.unexpected',
      runId: run.id,
      step: claimed.key,
      name: nameOf(error),
      at: stackOf(error),
    })
  }
  const policy = definition.retry ?? run.definition.retry
  if (failure.retryable && claimed.attempt < policy.attempts) {
    return {
      state: 'ready',
      delayMs: retryDelayMs(policy, claimed.attempt, services.random()),
      error: { code: failure.code, message: failure.message },
    }
  }
  return { state: 'failed', error: { code: failure.code, message: failure.message } }
}

function wordsFor(error: unknown, claimed: ClaimedStep, limit: TimeLimit | undefined): StepFailure {
  if (error instanceof StepFailure) return error
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return limit?.of === 'run'
      ? new StepFailure('run_timeout', `The run passed its time limit while step ${claimed.key} was at work.`)
      : new StepFailure(
          'timeout',
          `Step ${claimed.key} took longer than its ${Math.round((limit?.ms ?? 0) / 1000)} s.`,
        )
  }
  return new StepFailure('unexpected', `Step ${claimed.key} ended in an error that Weir did not foresee.`, {
    retryable: true,
  })
}

const nameOf = (error: unknown) => (error instanceof Error ? error.name : typeof error)
/** Frames only: the first lines of a stack are the message. */
const stackOf = (error: unknown) =>
  error instanceof Error
    ? (error.stack ?? '')
        .split('\n')
        .filter((line) => /^\s+at /.test(line))
        .slice(0, 8)
    : []
