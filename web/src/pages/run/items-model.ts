import { computed, createModel, effect, untracked, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { StepState } from '#src/domain/run-state.ts'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { pollWhile } from '../../polling.ts'
import type { Run } from './run.ts'

type Answer = InferResponseType<Client['v1']['runs'][':id']['steps'][':step']['items']['$get'], 200>
export type Item = Answer['items'][number] & { id: string }

const everyMs = 3_000

/** The items of a map that have begun, in their order. */
export const ItemsModel = createModel(
  (
    api: Client,
    { visible, isLive }: { visible: ReadonlySignal<boolean>; isLive: ReadonlySignal<boolean> },
    { id, step, state }: { id: Run['id']; step: string; state?: StepState | undefined },
  ) => {
    const init = { init: { signal: untilDisposed() } }
    const items = listModel<Item>(async (cursor) => {
      const query = { ...(state && { state }), ...(cursor !== undefined && { cursor }) }
      const answer = await ask<Answer>(
        api.v1.runs[':id'].steps[':step'].items.$get({ param: { id, step }, query }, init),
      )
      if (answer.state === 'failed') return answer
      const found = answer.value.items.map((item) => ({ ...item, id: `${item.outer ?? 0} ${item.item}` }))
      return { state: 'ready', value: { ...answer.value, items: found } }
    })
    const followed = computed(() => visible.value && isLive.value)
    pollWhile(followed, everyMs, items.look)
    // What is over is read once, and once more when it has just come to its end.
    effect(() => {
      if (!isLive.value) untracked(() => void items.look())
    })
    return { items }
  },
)
