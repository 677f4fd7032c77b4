import type { ClaimedRun, ClaimedStep } from '#src/db/run-moves.ts'
import type { Statement } from '#src/db/statement.ts'
import { holds } from '#src/domain/condition.ts'
import type { Json } from '#src/domain/json.ts'
import type { Step } from '#src/domain/step.ts'
import { executeStep } from './execute.ts'
import { namesOf } from './names.ts'
import type { StepOutcome, StepWork, Work } from './step.ts'

/** Which inner step is next, where that one has got to, what the ones before have given. */
type Place = { at: number; inner: ClaimedStep['cursor']; outputs: Record<string, Json> }

/** Either all is done, or the item has to stop here with what this step has come to. */
type Progress = { outputs: Record<string, Json> } | { stopped: StepOutcome; place: Place }

const beginning: Place = { at: 0, inner: null, outputs: {} }

/** What the inner steps want written with the item's next transaction, and done after it. */
type Effects = { statements: Statement[]; afterwards: NonNullable<StepOutcome['afterwards']>[] }

function gather(effects: Effects, { statements = [], afterwards }: StepOutcome): void {
  effects.statements.push(...statements)
  if (afterwards) effects.afterwards.push(afterwards)
}

/** What a row of steps does, by its key; a map inside another one is retried as that one where it does not say how. */
export function definitionOf({ definition }: ClaimedRun, key: string): Step | undefined {
  const [id, inner] = key.split('.')
  const step = definition.steps.find((one) => one.id === id)
  if (inner === undefined || step?.kind !== 'map') return step
  const found = step.map.steps.find((one) => one.id === inner)
  const retry = found?.retry ?? step.retry
  return found && { ...found, ...(retry ? { retry } : {}) }
}

/**
 * The inner steps of a map for one item, one after the other. What they want written is written together when the item
 * waits or ends, so an item that is taken over does nothing twice. For a map among them the item waits as a step does.
 */
export async function executeItem(work: StepWork<'map'>): Promise<StepOutcome> {
  const { definition, claimed } = work
  const { as, steps } = definition.map
  const { item = null, ...place } = {
    ...beginning,
    ...(claimed.cursor as Partial<Place & { item: Json }> | null),
  }
  const effects: Effects = { statements: [], afterwards: [] }
  const items = [...itemAround(work), { as, value: item }]
  const innerOutputs = claimed.around?.outputs ?? {}
  const progress = await follow({ ...work, items, innerOutputs }, steps, place, effects)
  const { statements } = effects
  const afterwards: StepOutcome['afterwards'] = async (results) => {
    for (const each of effects.afterwards) await each(results)
  }
  if ('stopped' in progress) {
    const { stopped } = progress
    const result = { ...stopped.result, cursor: { item, ...progress.place } }
    return { ...stopped, result, statements, afterwards }
  }
  return {
    result: { state: 'succeeded', rowsOut: 0, output: progress.outputs, cursor: null },
    statements,
    afterwards,
  }
}

function itemAround({ run, claimed: { key, around } }: Work): { as: string; value: Json }[] {
  const outer = definitionOf(run, key.split('.')[0] ?? key)
  return around && outer?.kind === 'map' ? [{ as: outer.map.as, value: around.item }] : []
}

async function follow(work: Work, steps: readonly Step[], place: Place, effects: Effects): Promise<Progress> {
  const outputs = { ...place.outputs }
  let { inner } = place
  let answer = work.claimed.answer ?? null
  for (const [at, step] of steps.entries()) {
    if (at < place.at) continue
    const claimed = { ...work.claimed, cursor: inner, answer }
    const own = { ...work, claimed, innerOutputs: { ...work.innerOutputs, ...outputs }, definition: step }
    if (step.if && inner === null && !holds(step.if, namesOf(own))) continue
    const outcome = await executeStep(own)
    gather(effects, outcome)
    const { result } = outcome
    if (result.state !== 'succeeded')
      return { stopped: outcome, place: { at, inner: result.cursor ?? inner, outputs } }
    outputs[step.id] = { ...result.output }
    inner = null
    answer = null
  }
  return { outputs }
}
