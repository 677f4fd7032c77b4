import type { StepResult } from '#src/db/run-moves.ts'
import { holds } from '#src/domain/condition.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Json } from '#src/domain/json.ts'
import type { Step } from '#src/domain/step.ts'
import type { Ended } from './following.ts'
import { namesOf } from './names.ts'
import { stepLog } from './step-log.ts'
import type { StepWork, Work } from './step.ts'
import { executeWait } from './steps/wait.ts'

/** A step as it is when it is claimed for the first time. */
export const fresh = {
  mapIndex: 0,
  attempt: 1,
  fence: 0,
  cursor: null,
  rowsIn: 0,
  rowsOut: 0,
  rowsRejected: 0,
  answer: null,
} as const

export const hasEnded = (result: StepResult): result is StepResult & { state: Ended } =>
  result.state === 'succeeded' || result.state === 'skipped'

/** What a step comes to that only thinks; undefined for all but an end that needed nobody. */
export async function think(
  work: Work & { definition: Step },
): Promise<(StepResult & { state: Ended }) | undefined> {
  const { definition } = work
  try {
    if (definition.if && !holds(definition.if, namesOf(work)))
      return { state: 'skipped', reason: 'condition' }
    const onlyThinks = definition.kind === 'wait' && ('for' in definition.wait || 'until' in definition.wait)
    if (!onlyThinks) return undefined
    const { result, statements, afterwards } = await executeWait({ ...work, definition })
    const isAlone = !statements && !afterwards && work.stepLog.pending().statements.length === 0
    return isAlone && result.state !== 'skipped' && hasEnded(result) ? result : undefined
  } catch (error) {
    if (error instanceof StepFailure) return undefined
    throw error
  }
}

/** More at once would only make one transaction long. */
const mostItems = 1_000

/** What the first items of a map come to, up to the one that does not end by thinking alone. */
export async function thinkItems(
  work: StepWork<'map'>,
  values: readonly Json[],
): Promise<(StepResult & { output: Record<string, Json> })[]> {
  const { definition, budget } = work
  const ended: (StepResult & { output: Record<string, Json> })[] = []
  for (const value of values.slice(0, mostItems)) {
    const items = [...(work.items ?? []), { as: definition.map.as, value }]
    const output = budget.isSpent() ? undefined : await thinkItem({ ...work, items }, definition.map.steps)
    if (!output) break
    ended.push({ state: 'succeeded', rowsOut: 0, output })
  }
  return ended
}

async function thinkItem(work: Work, steps: readonly Step[]): Promise<Record<string, Json> | undefined> {
  const { services, run } = work
  const { key, outputs = null } = work.claimed
  const claimed = { ...fresh, key, kind: 'item', attemptAt: services.now().toISOString(), outputs }
  const given: Record<string, Json> = {}
  for (const definition of steps) {
    const log = stepLog(services.now, run.id, claimed)
    const innerOutputs = { ...work.innerOutputs, ...given }
    const thought = await think({ ...work, claimed, definition, innerOutputs, log: log.say, stepLog: log })
    if (!thought) return undefined
    if (thought.state === 'succeeded') given[definition.id] = { ...thought.output }
  }
  return given
}
