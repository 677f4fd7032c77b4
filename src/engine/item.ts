import type { ClaimedStep } from '#src/db/run-moves.ts'
import type { Statement } from '#src/db/statement.ts'
import { holds } from '#src/domain/condition.ts'
import type { Json } from '#src/domain/json.ts'
import type { Step } from '#src/domain/step.ts'
import { executeStep } from './execute.ts'
import { namesOf } from './names.ts'
import type { StepOutcome, StepWork, Work } from './step.ts'
import { itemsOf } from './steps/map.ts'

/** Which inner step is next, where that one has got to, what the ones before have given. */
type Place = { at: number; inner: ClaimedStep['cursor']; outputs: Record<string, Json> }

/** Where a map inside a map has got to: its items come one after the other. */
type Within = { items: Json[]; results: Json[]; place: Place }

/** Either all is done, or the item has to stop here with what this step has come to. */
type Progress = { outputs: Record<string, Json> } | { stopped: StepOutcome; place: Place }

const beginning: Place = { at: 0, inner: null, outputs: {} }

/** What the inner steps want written with the item's next transaction, and done after it. */
type Effects = { statements: Statement[]; afterwards: NonNullable<StepOutcome['afterwards']>[] }

function gather(effects: Effects, { statements = [], afterwards }: StepOutcome): void {
  effects.statements.push(...statements)
  if (afterwards) effects.afterwards.push(afterwards)
}

/**
 * The inner steps of a map for one item, one after the other. What they want written is written together when the item
 * waits or ends, so an item that is taken over does nothing twice.
 */
export async function executeItem(work: StepWork<'map'>): Promise<StepOutcome> {
  const { definition, claimed } = work
  const { as, steps } = definition.map
  const { item = null, ...place } = {
    ...beginning,
    ...(claimed.cursor as Partial<Place & { item: Json }> | null),
  }
  const effects: Effects = { statements: [], afterwards: [] }
  const items = [{ as, value: item, index: claimed.mapIndex }]
  const progress = await follow({ ...work, items }, steps, place, effects)
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

async function follow(work: Work, steps: readonly Step[], place: Place, effects: Effects): Promise<Progress> {
  const outputs = { ...place.outputs }
  let { inner } = place
  let answer = work.claimed.answer ?? null
  for (const [at, step] of steps.entries()) {
    if (at < place.at) continue
    const claimed = { ...work.claimed, cursor: inner, answer }
    const own = { ...work, claimed, innerOutputs: { ...work.innerOutputs, ...outputs }, definition: step }
    if (step.if && inner === null && !holds(step.if, namesOf(own))) continue
    const outcome =
      step.kind === 'map' ? await followMap({ ...own, definition: step }, effects) : await executeStep(own)
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

/** A map inside a map: within one item, so that the outer map's limit is the limit of both. */
async function followMap(work: StepWork<'map'>, effects: Effects): Promise<StepOutcome> {
  const { as, steps } = work.definition.map
  const within: Within = (work.claimed.cursor as Within | null) ?? {
    items: itemsOf(work),
    results: [],
    place: beginning,
  }
  const { items, results } = within
  let { place } = within
  let { claimed } = work
  for (const value of items.slice(results.length)) {
    const own = { ...work, claimed, items: [...(work.items ?? []), { as, value, index: results.length + 1 }] }
    const progress = await follow(own, steps, place, effects)
    if ('stopped' in progress) {
      const { stopped } = progress
      const cursor: Within = { items, results, place: progress.place }
      // What it wants written was gathered where it stopped.
      return { result: { ...stopped.result, cursor } }
    }
    results.push(progress.outputs)
    place = beginning
    claimed = { ...claimed, cursor: null, answer: null }
  }
  return { result: { state: 'succeeded', rowsOut: 0, output: { items: items.length, results } } }
}
