import type { TenantDb } from '#src/db/database.ts'
import { isUnavailable, RunCancelled, stepFailureOf, StepLost } from '#src/db/failure.ts'
import {
  claimStep,
  type Claim,
  completion,
  type ClaimedRun,
  type ClaimedStep,
  type Completion,
  type Delivery,
  type StepResult,
  type Wake,
} from '#src/db/run-moves.ts'
import { holds } from '#src/domain/condition.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { RunId, TenantId } from '#src/domain/id.ts'
import { placeOfItem } from '#src/domain/item-place.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import type { Step } from '#src/domain/pipeline.ts'
import { retryDelayMs } from '#src/domain/retry.ts'
import { workAhead, type Ahead } from './ahead.ts'
import { startBudget, type Budget } from './budget.ts'
import { executeStep } from './execute.ts'
import { definitionOf, executeItem, ItemFailure } from './item.ts'
import { rememberVersion, versionOfRun } from './known-versions.ts'
import { namesOf } from './names.ts'
import { wakeMessages } from './wake.ts'
import { holdLease, leaseMs } from './lease.ts'
import type { EngineServices } from './services.ts'
import { stepLog, type StepLog } from './step-log.ts'
import type { StepOutcome, Work } from './step.ts'

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
  const known = versionOfRun(tenantId, runId)
  const claim = await claimStep(db, runId, wakeUp.outboxId, delivery, leaseMs, known)
  if (claim.outcome === 'claimed') rememberVersion(tenantId, claim.run)
  await carryOut(services, wakeUp, claim, delivery, startBudget(services.now, services.deliveryLimits))
}

/** What follows from a claim: executes, completes and claims the next for as long as the budget takes it. */
export async function carryOut(
  services: EngineServices,
  { tenantId, runId }: WakeUp,
  claim: Claim,
  delivery: Delivery,
  budget: Budget,
): Promise<void> {
  const db = services.database.tenant(tenantId, 'job')
  const sending: Promise<void>[] = []
  const send = (wakes: readonly Wake[] | undefined) => {
    if (wakes && wakes.length > 0) {
      sending.push(services.send(tenantId, wakeMessages(tenantId, runId, wakes)))
    }
  }
  try {
    send(claim.wakes)
    services.live(tenantId, runId)
    if (claim.outcome !== 'claimed') return
    const run = withDefaults(claim.run)
    let step: ClaimedStep | null | undefined = claim.step
    while (step) {
      const completed: Completion | undefined = await workOn(services, db, run, step, delivery, budget)
      send(completed?.wakes)
      step = completed?.step
      services.live(tenantId, runId, !step)
      // Seldom: mostly it is known before that this will be the last step of the delivery.
      if (step && (budget.isSpent() || !budget.takes(step.kind))) {
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
  const definition = definitionOf(run, claimed.key)
  if (!definition) throw new Error(`the definition of ${run.id} has no step ${claimed.key}`)
  const remainingMs = run.deadlineAt ? Date.parse(run.deadlineAt) - services.now().getTime() : undefined
  const limit = timeLimit(definition.timeoutMs, claimed, services.now(), remainingMs)
  const lease = holdLease(db, run.id, claimed, limit?.ms)
  const log = stepLog(services.now, run.id, claimed)
  budget.spend(1)
  try {
    refuseHopeless(claimed, run, definition, remainingMs)
    if (limit?.of === 'step' && limit.ms <= 0) throw new DOMException('no time is left', 'TimeoutError')
    const work = {
      services,
      db,
      run,
      claimed,
      definition,
      budget,
      signal: lease.signal,
      progress: () => services.live(db.tenantId, run.id),
      log: log.say,
      stepLog: log,
    }
    const outcome = await outcomeOf(work)
    const ahead = await workAhead(work, outcome)
    return await complete(db, run.id, claimed, noLongerThan(limit, outcome), delivery, {
      ahead,
      log,
      signal: lease.signal,
      isLast: budget.isSpent(),
    })
  } catch (thrown) {
    const fail = (error: unknown): Promise<Completion> => {
      if (error instanceof StepLost) throw error
      const result = resultOf(error, definition, run, claimed, services, limit)
      if (!result) throw error
      const kept = error instanceof ItemFailure ? error.kept : {}
      const outcome = { ...kept, result: sayWhy(log, claimed, result) }
      return complete(db, run.id, claimed, outcome, delivery, { log, isLast: budget.isSpent() })
    }
    const error = stepFailureOf(lease.signal.aborted ? lease.signal.reason : thrown, wordsOf(claimed))
    try {
      return await fail(error)
    } catch (again) {
      // What the steps before it wanted written could not be. Tried again, what they have asked would be asked twice.
      if (!(error instanceof ItemFailure) || !(again instanceof StepFailure)) throw again
      return await fail(new StepFailure(again.code, again.message))
    }
  } finally {
    lease.release()
  }
}

const skipped: StepOutcome = { result: { state: 'skipped', reason: 'condition' } }

/** What the step comes to; one whose condition does not hold when it is first looked at is skipped. */
function outcomeOf(work: Work & { definition: Step }): Promise<StepOutcome> {
  const { definition, claimed } = work
  if (definition.kind === 'map' && claimed.kind === 'item') return executeItem({ ...work, definition })
  const isFirst = claimed.cursor === null && !claimed.answer
  if (isFirst && definition.if && !holds(definition.if, namesOf(work))) return Promise.resolve(skipped)
  return executeStep(work)
}

/** Tells in the log why an attempt ended as it did, and hides in its error whatever the log hides. */
function sayWhy(log: StepLog, { attempt }: ClaimedStep, result: StepResult): StepResult {
  const { error, state, delayMs } = result
  if (!error) return result
  if (state === 'ready')
    log.say(
      'warn',
      `Attempt ${attempt} failed: ${error.message} Again in ${Math.round((delayMs ?? 0) / 100) / 10} s.`,
    )
  else
    log.say(
      'error',
      attempt > 1 ? `Attempt ${attempt}, the last one, failed: ${error.message}` : error.message,
    )
  return { ...result, error: { ...error, message: log.redact(error.message) } }
}

type TimeLimit = { ms: number; of: 'step' | 'run'; wholeMs: number }

/** What is left of the attempt's own time, through its continuations and waits, or of the run's where that is less. */
function timeLimit(
  stepMs: number | undefined,
  claimed: ClaimedStep,
  now: Date,
  remainingMs: number | undefined,
): TimeLimit | undefined {
  const spentMs = Math.max(now.getTime() - Date.parse(claimed.attemptAt), 0)
  const leftMs = stepMs === undefined ? Infinity : Math.max(stepMs - spentMs, 0)
  if (remainingMs !== undefined && remainingMs < leftMs)
    return { ms: Math.max(remainingMs, 0), of: 'run', wholeMs: remainingMs }
  return stepMs === undefined ? undefined : { ms: leftMs, of: 'step', wholeMs: stepMs }
}

/** A step that waits comes back when its own time is up, to be told so. The run's time is watched by the tick. */
function noLongerThan(limit: TimeLimit | undefined, outcome: StepOutcome): StepOutcome {
  const { result } = outcome
  if (limit?.of !== 'step' || result.state !== 'waiting') return outcome
  return { ...outcome, result: { ...result, delayMs: Math.min(result.delayMs ?? Infinity, limit.ms) } }
}

async function complete(
  db: TenantDb,
  runId: RunId,
  step: ClaimedStep,
  outcome: StepOutcome,
  delivery: Delivery,
  {
    ahead,
    log,
    signal,
    isLast = false,
  }: { ahead?: readonly Ahead[]; log?: StepLog; signal?: AbortSignal; isLast?: boolean } = {},
): Promise<Completion> {
  const said = log?.pending()
  const statements = [
    ...(outcome.statements ?? []),
    ...(said?.statements ?? []),
    completion(runId, step, outcome.result, delivery, isLast ? null : leaseMs, ahead),
  ]
  try {
    const results = await db.statements(statements, signal)
    // What it sends is in the outbox: if this fails, the tick sends it.
    await outcome.afterwards?.(results).catch(() => undefined)
    return results.at(-1)?.rows[0]?.['value'] as Completion
  } catch (thrown) {
    const error = stepFailureOf(thrown, wordsOf(step))
    if (!(error instanceof StepFailure) || error.code !== 'sql_failed') throw error
    throw (await outcome.explain?.().catch(() => undefined)) ?? error
  }
}

function wordsOf({ key, mapIndex }: ClaimedStep): string {
  const { outer, item } = placeOfItem(mapIndex)
  return [`step ${key}`, item > 0 && `item ${item}`, outer && `of item ${outer}`].filter(Boolean).join(', ')
}

function refuseHopeless(
  claimed: ClaimedStep,
  run: ClaimedRun,
  definition: Step,
  remainingMs: number | undefined,
): void {
  if (remainingMs !== undefined && remainingMs <= 0) {
    const when =
      claimed.cursor === null ? 'before this step could start' : 'while this step waited or was at work'
    throw new StepFailure('run_timeout', `The run passed its time limit ${when}.`)
  }
  const { attempts } = definition.retry ?? run.definition.retry
  const steps = claimed.kind === 'item' && definition.kind === 'map' ? definition.map.steps : [definition]
  const most = steps.reduce((sum, { retry }) => sum + (retry?.attempts ?? attempts), silentAttempts)
  if (claimed.attempt > most) {
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
  const inner = error instanceof ItemFailure ? error : undefined
  const policy = inner?.policy ?? definition.retry ?? run.definition.retry
  const tries = inner?.tries ?? claimed.attempt
  if (failure.retryable && tries < policy.attempts) {
    return {
      state: 'ready',
      delayMs: Math.max(retryDelayMs(policy, tries, services.random()), failure.retryAfterMs ?? 0),
      error: { code: failure.code, message: failure.message },
      ...(inner ? { cursor: inner.cursor } : {}),
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
          `Step ${claimed.key} took longer than its ${Math.round((limit?.wholeMs ?? 0) / 1000)} s.`,
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
