import type { ClaimedRun, ClaimedStep } from '#src/db/run-moves.ts'
import type { Statement } from '#src/db/statement.ts'
import { holds } from '#src/domain/condition.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Json } from '#src/domain/json.ts'
import type { RetryPolicy } from '#src/domain/retry.ts'
import type { Step } from '#src/domain/step.ts'
import { executeStep } from './execute.ts'
import { namesOf } from './names.ts'
import type { StepOutcome, StepWork, Work } from './step.ts'

/** Which inner step is next, where that one has got to, what the ones before have given. */
type Place = {
  at: number
  inner: ClaimedStep['cursor']
  outputs: Record<string, Json>
  /** How often that one has failed. */
  failed?: number
  /** When its attempt under way began, where it has a time limit. */
  begun?: { attempt: number; at: string }
}

/** Either all is done, or the item has to stop here with what this step has come to, or for its failure. */
type Progress =
  | { outputs: Record<string, Json> }
  | { stopped: StepOutcome; place: Place }
  | { failure: StepFailure; step: Step; place: Place }

/** An inner step has failed: the item begins again with that one, by its policy, and keeps what was done before it. */
export class ItemFailure extends StepFailure {
  readonly tries: number
  readonly policy: RetryPolicy | undefined
  readonly cursor: Record<string, unknown>
  readonly kept: Pick<StepOutcome, 'statements' | 'afterwards'>

  constructor(
    cause: StepFailure,
    { tries, policy, cursor, kept }: Pick<ItemFailure, 'tries' | 'policy' | 'cursor' | 'kept'>,
  ) {
    const { code, message, retryable, retryAfterMs } = cause
    super(code, message, { retryable, cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
    this.tries = tries
    this.policy = policy
    this.cursor = cursor
    this.kept = kept
  }
}

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
  if ('failure' in progress) {
    const { failure, step, place: reached } = progress
    const { failed: tries = 1 } = reached
    const cursor = { item, ...reached }
    throw new ItemFailure(failure, { tries, policy: step.retry, cursor, kept: { statements, afterwards } })
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

async function follow(
  work: Timed,
  steps: readonly Step[],
  place: Place,
  effects: Effects,
): Promise<Progress> {
  const outputs = { ...place.outputs }
  let { inner } = place
  let answer = work.claimed.answer ?? null
  for (const [at, step] of steps.entries()) {
    if (at < place.at) continue
    const claimed = { ...work.claimed, cursor: inner, answer }
    const retry = step.retry ?? work.definition.retry
    const definition: Step = retry ? { ...step, retry } : step
    const own = { ...work, claimed, innerOutputs: { ...work.innerOutputs, ...outputs }, definition }
    if (step.if && inner === null && !holds(step.if, namesOf(own))) continue
    const { failed = 0, begun }: Partial<Place> = at === place.at ? place : {}
    const timed = timeOf(own, begun)
    const reached = { at, inner, outputs, ...(failed > 0 ? { failed } : {}), ...timed }
    let outcome: StepOutcome
    try {
      outcome = noLongerThan(leftMs(own, timed), await executeStep(own))
    } catch (failure) {
      if (!(failure instanceof StepFailure)) throw failure
      return { failure, step, place: { ...reached, failed: failed + 1 } }
    }
    gather(effects, outcome)
    const { result } = outcome
    if (result.state !== 'succeeded')
      return { stopped: outcome, place: { ...reached, inner: result.cursor ?? inner } }
    outputs[step.id] = { ...result.output }
    inner = null
    answer = null
  }
  return { outputs }
}

type Timed = Work & { definition: Step }

/** From when the time of an inner step's attempt counts. A map among them watches its own. */
function timeOf({ claimed, definition, services }: Timed, begun: Place['begun']): Pick<Place, 'begun'> {
  if (definition.timeoutMs === undefined || definition.kind === 'map') return {}
  const { attempt } = claimed
  return { begun: begun?.attempt === attempt ? begun : { attempt, at: services.now().toISOString() } }
}

/** What is left of it; a step that was not answered in its time has failed. */
function leftMs({ claimed, definition, services }: Timed, { begun }: Pick<Place, 'begun'>): number {
  const { id, timeoutMs } = definition
  if (begun === undefined || timeoutMs === undefined) return Infinity
  const left = Date.parse(begun.at) + timeoutMs - services.now().getTime()
  if (left > 0 || claimed.answer) return left
  throw new StepFailure('timeout', `Step ${id} took longer than its ${Math.round(timeoutMs / 1000)} s.`)
}

const noLongerThan = (ms: number, outcome: StepOutcome): StepOutcome =>
  ms === Infinity || outcome.result.state !== 'waiting'
    ? outcome
    : { ...outcome, result: { ...outcome.result, delayMs: Math.min(outcome.result.delayMs ?? Infinity, ms) } }
