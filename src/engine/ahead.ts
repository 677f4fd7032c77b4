import type { TenantDb } from '#src/db/database.ts'
import type { ClaimedRun, StepResult } from '#src/db/run-moves.ts'
import type { Json } from '#src/domain/json.ts'
import type { Step } from '#src/domain/step.ts'
import type { Budget } from './budget.ts'
import { following } from './following.ts'
import type { EngineServices } from './services.ts'
import { stepLog } from './step-log.ts'
import type { StepOutcome, Work } from './step.ts'
import { fresh, hasEnded, think } from './think.ts'

/** A step that was worked out before it was claimed, and what it came to. */
export type Ahead = { key: string; result: StepResult }

/** More at once would only make one transaction long. */
const mostAhead = 2_000

/**
 * Steps that only think, worked out before the one in hand is committed and committed with it: however many follow from it,
 * they cost one round trip. Such a step waits for nothing but the one in hand and what is worked out with it, and comes to its
 * end without asking or telling anybody; whatever else it would come to is forgotten and done in its own turn. Should the
 * Worker die before the commit, nothing has happened.
 */
export async function workAhead(work: Work & { definition: Step }, outcome: StepOutcome): Promise<Ahead[]> {
  const { run, claimed, budget, services } = work
  const { result } = outcome
  if (claimed.mapIndex > 0 || budget.isSpent() || !hasEnded(result)) return []
  const outputs: Record<string, Json> = { ...claimed.outputs }
  const ahead: Ahead[] = []
  const next = following(run, claimed.key, result.state)
  for (const each of next.steps) {
    const { planned, definition } = each
    if (!budget.takes(planned.kind) || planned.uses?.some((used) => !Object.hasOwn(outputs, used))) continue
    const log = stepLog(services.now, run.id, claimed)
    const { key, kind } = planned
    const thought = await think({
      ...work,
      definition,
      claimed: { ...fresh, key, kind, attemptAt: services.now().toISOString(), outputs },
      log: log.say,
      stepLog: log,
    })
    if (!thought) continue
    outputs[key] = outputOf(thought)
    ahead.push({ key, result: thought })
    if (ahead.length === mostAhead) break
    next.hasEnded(key, thought.state)
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

const outputOf = ({ state, output }: StepResult): Json => ({
  rowsIn: 0,
  rowsOut: 0,
  rowsRejected: 0,
  state,
  ...output,
})
