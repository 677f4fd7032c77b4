import { computed, createModel, signal, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, tell, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { loading, type Answered, type ApiProblem, type Load } from '../../load.ts'
import { pollWhile } from '../../polling.ts'
import { thenLook } from '../../then-look.ts'
import { fitting, listed, type Filter } from './filter.ts'

type Routes = Client['v1']['dead-letters']
export type Letter = InferResponseType<Routes['$get'], 200>['items'][number]
export type WholeLetter = InferResponseType<Routes[':id']['$get'], 200>
type Why = { reason?: string }

const everyMs = 10_000

/** What was done of what was asked for, and why the rest was not. */
export type Outcome = { done: number; refused: readonly string[] }

/** Steps that failed for good, as far as they fit. */
export const LettersModel = createModel((api: Client, visible: ReadonlySignal<boolean>, filter: Filter) => {
  const init = { init: { signal: untilDisposed() } }
  const chosen = signal<ReadonlySet<string>>(new Set())
  const query = listed(filter)
  const letters = listModel((cursor) =>
    ask(api.v1['dead-letters'].$get({ query: cursor === undefined ? query : { ...query, cursor } }, init)),
  )
  pollWhile(visible, everyMs, letters.look)

  /** Those that are chosen and still shown: what was seen to elsewhere leaves the list. */
  const picked = computed(() =>
    letters.list.value.state === 'ready'
      ? letters.list.value.value.items.filter(({ id }) => chosen.value.has(id))
      : [],
  )

  /** One after the other, so that what is refused is known of each; nothing answers for what could not be reached. */
  async function each(
    ids: readonly Letter['id'][],
    act: (id: Letter['id']) => Promise<Answered<unknown>>,
  ): Promise<Answered<Outcome>> {
    let done = 0
    const refused: string[] = []
    let problem: ApiProblem | undefined
    for (const id of ids) {
      const answer = await act(id)
      if (answer.state === 'ready') done += 1
      else if (answer.problem.status === 409 || answer.problem.status === 404)
        refused.push(answer.problem.detail)
      else {
        problem = answer.problem
        break
      }
    }
    // Where nothing was done they stay chosen, and the dialog that says why stays with them.
    const vain = done === 0 ? problem : undefined
    if (vain === undefined) chosen.value = new Set()
    await letters.look()
    if (vain !== undefined) return { state: 'failed', problem: vain }
    return { state: 'ready', value: { done, refused: problem ? [...refused, problem.detail] : refused } }
  }

  return {
    letters,
    chosen,
    picked,
    choose(id: string, isChosen: boolean): void {
      const next = new Set(chosen.value)
      if (isChosen) next.add(id)
      else next.delete(id)
      chosen.value = next
    },
    /** Has the runs of those that are chosen done again: a run once, however many of its steps are among them. */
    replayChosen: (why: Why) =>
      each(oneOfEachRun(picked.value), (id) =>
        ask(api.v1['dead-letters'][':id'].replay.$post({ param: { id }, json: why })),
      ),
    dismissChosen: (why: Why) =>
      each(
        picked.value.map(({ id }) => id),
        (id) => tell(api.v1['dead-letters'][':id'].dismiss.$post({ param: { id }, json: why })),
      ),
    /** The same for all that is open and fits, shown or not. */
    async replayAll(why: Why): Promise<Answered<Outcome>> {
      const json = { filter: fitting(filter), ...why }
      const answer = await ask(api.v1['dead-letters'].replay.$post({ json }))
      await letters.look()
      if (answer.state === 'failed') return answer
      const { replayed, refused } = answer.value
      return {
        state: 'ready',
        value: { done: replayed.length, refused: refused.map(({ refused: why }) => refusals[why] ?? why) },
      }
    },
  }
})

/** Why a run is not done again, where only a word comes back. */
const refusals: Readonly<Record<string, string>> = {
  quota: 'A quota of the organisation is used up.',
  open: 'The run is still under way.',
  deleted: 'Its pipeline was deleted.',
  version: 'The pipeline was changed at this moment.',
  nothing: 'Nothing of the run has failed.',
  skipped: 'Nothing of the run would be done again.',
  dropped: 'The rows that it would read are not kept any more.',
  step: 'The step is not there any more.',
}

export function oneOfEachRun(letters: readonly Pick<Letter, 'id' | 'runId'>[]): Letter['id'][] {
  const runs = new Map(letters.map(({ id, runId }) => [runId, id]))
  return [...runs.values()]
}

/** 3 runs are started again. Refused: … */
export function outcomeWords({ done, refused }: Outcome, one: string, several: string): string {
  const reasons = new Map<string, number>()
  for (const reason of refused) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const because = [...reasons].map(([reason, times]) => (times === 1 ? reason : `${reason} (${times} times)`))
  const did = done === 1 ? `1 ${one}` : `${done} ${several}`
  return because.length === 0 ? `${did}.` : `${did}. Not done: ${because.join(' ')}`
}

/** One dead letter: what led to it, and what can be done about it. */
export const LetterModel = createModel((api: Client, id: Letter['id']) => {
  const init = { init: { signal: untilDisposed() } }
  const letter = signal<Load<WholeLetter>>(loading)
  const byId = api.v1['dead-letters'][':id']
  async function look(): Promise<void> {
    const answer = await ask<WholeLetter>(byId.$get({ param: { id } }, init))
    if (answer.state === 'ready' || letter.value.state !== 'ready') letter.value = answer
  }
  return {
    letter,
    look,
    replay: (json: Why) => thenLook(ask(byId.replay.$post({ param: { id }, json })), look),
    dismiss: (json: Why) => thenLook(tell(byId.dismiss.$post({ param: { id }, json })), look),
  }
})
