import type { TenantDb } from '#src/db/database.ts'
import type { ClaimedRun, StepResult } from '#src/db/run-moves.ts'
import { holds } from '#src/domain/condition.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Json } from '#src/domain/json.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import { decide } from '#src/domain/run-state.ts'
import type { Step } from '#src/domain/step.ts'
import type { Budget } from './budget.ts'
import { executeStep } from './execute.ts'
import { namesOf } from './names.ts'
import type { EngineServices } from './services.ts'
import { stepLog } from './step-log.ts'
import type { StepOutcome, Work } from './step.ts'

/** A step that was worked out before it was claimed, and what it came to. */
export type Ahead = { key: string; result: StepResult }

/** More at once would only make one transaction long. */
const mostAhead = 100

/**
 * Steps that only think, worked out before the one in hand is committed and committed with it: a chain of them costs one
 * round trip. Such a step needs nothing but the one before it, is all that waits for that one, and comes to its end without
 * asking or telling anybody; whatever else it would come to is forgotten and done in its own turn. Should the Worker die
 * before the commit, nothing has happened.
 */
export async function workAhead(work: Work & { definition: Step }, outcome: StepOutcome): Promise<Ahead[]> {
  const { run, claimed, budget, services } = work
  if (claimed.mapIndex > 0 || budget.isSpent()) return []
  const outputs: Record<string, Json> = { ...claimed.outputs }
  const ahead: Ahead[] = []
  let { key } = claimed
  let { result } = outcome
  while (ahead.length < mostAhead) {
    if (result.state !== 'succeeded' && result.state !== 'skipped') break
    if (ahead.length > 0) outputs[key] = outputOf(result)
    const next = followerOf(run.plan, key, result.state)
    const definition = next && run.definition.steps.find(({ id }) => id === next.key)
    if (!definition || !budget.takes(next.kind)) break
    if (next.uses?.some((used) => !Object.hasOwn(outputs, used))) break
    const log = stepLog(services.now, run.id, claimed)
    const thought = await think({
      ...work,
      definition,
      claimed: { ...fresh, key: next.key, kind: next.kind, attemptAt: services.now().toISOString(), outputs },
      log: log.say,
      stepLog: log,
    })
    if (!thought) break
    key = next.key
    result = thought
    ahead.push({ key, result })
  }
  return ahead
}

/** The same for a run that is about to start: what its only first step, and those after it, come to. */
export async function workBefore(
  services: EngineServices,
  db: TenantDb,
  run: ClaimedRun,
  budget: Budget,
): Promise<Ahead[]> {
  const [first, another] = run.plan.filter(({ needs, when }) => needs.length === 0 || when === 'always')
  const definition = first && run.definition.steps.find(({ id }) => id === first.key)
  if (!definition || another || first.connection !== undefined || first.uses || !budget.takes(first.kind))
    return []
  const claimed = { ...fresh, key: first.key, kind: first.kind, attemptAt: services.now().toISOString() }
  const log = stepLog(services.now, run.id, claimed)
  const { signal } = new AbortController()
  const work = {
    services,
    db,
    run,
    claimed,
    definition,
    budget,
    signal,
    progress() {},
    log: log.say,
    stepLog: log,
  }
  const result = await think(work)
  return result ? [{ key: first.key, result }, ...(await workAhead(work, { result }))] : []
}

const fresh = {
  mapIndex: 0,
  attempt: 1,
  fence: 0,
  cursor: null,
  rowsIn: 0,
  rowsOut: 0,
  rowsRejected: 0,
  answer: null,
} as const

const outputOf = ({ state, output }: StepResult): Json => ({
  rowsIn: 0,
  rowsOut: 0,
  rowsRejected: 0,
  state,
  ...output,
})

/** The one step that waits for this one, where it waits for no other and for no place. */
function followerOf(
  plan: readonly PlannedStep[],
  key: string,
  ended: 'succeeded' | 'skipped',
): PlannedStep | undefined {
  const [next, another] = plan.filter(({ needs }) => needs.includes(key))
  if (!next || another || next.needs.length > 1 || next.connection !== undefined || next.when === 'always')
    return undefined
  const ends = { total: 1, succeeded: 0, failed: 0, skipped: 0, [ended]: 1 }
  return decide(next.when, ends) === 'run' ? next : undefined
}

/** Undefined for all but an end that needed nobody. */
async function think(work: Work & { definition: Step }): Promise<StepResult | undefined> {
  const { definition } = work
  try {
    if (definition.if && !holds(definition.if, namesOf(work)))
      return { state: 'skipped', reason: 'condition' }
    const onlyThinks = definition.kind === 'wait' && ('for' in definition.wait || 'until' in definition.wait)
    if (!onlyThinks) return undefined
    const { result, statements, afterwards } = await executeStep(work)
    const isAlone = !statements && !afterwards && work.stepLog.pending().statements.length === 0
    return isAlone && result.state === 'succeeded' ? result : undefined
  } catch (error) {
    if (error instanceof StepFailure) return undefined
    throw error
  }
}
