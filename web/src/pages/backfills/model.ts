import { createModel, signal, type ReadonlySignal } from '@preact/signals'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { loading, type Load } from '../../load.ts'
import { pollWhile } from '../../polling.ts'
import { isOver, type Backfill } from './backfill.ts'

const listEveryMs = 5_000
const oneEveryMs = 2_000

export const BackfillsModel = createModel(
  (api: Client, visible: ReadonlySignal<boolean>, pipelineId: Backfill['pipelineId'] | undefined) => {
    const init = { init: { signal: untilDisposed() } }
    const backfills = listModel((cursor) => {
      const query = { ...(pipelineId && { pipelineId }), ...(cursor !== undefined && { cursor }) }
      return ask(api.v1.backfills.$get({ query }, init))
    })
    pollWhile(visible, listEveryMs, backfills.look)
    return { backfills }
  },
)

export type Move = 'pause' | 'resume' | 'cancel'

/** One backfill, for as long as its page is open; one that is over is read once. */
export const BackfillModel = createModel(
  (api: Client, visible: ReadonlySignal<boolean>, id: Backfill['id']) => {
    const init = { init: { signal: untilDisposed() } }
    const backfill = signal<Load<Backfill>>(loading)

    async function look(): Promise<boolean> {
      const shown = backfill.value
      if (shown.state === 'ready' && isOver(shown.value) && shown.value.runs.running === 0) return true
      return lookNow()
    }

    async function lookNow(): Promise<boolean> {
      const answer = await ask<Backfill>(api.v1.backfills[':id'].$get({ param: { id } }, init))
      // What is shown stays when it cannot be read again.
      if (answer.state === 'ready' || backfill.value.state !== 'ready') backfill.value = answer
      return answer.state === 'ready'
    }

    pollWhile(visible, oneEveryMs, look)

    return {
      backfill,
      look: lookNow,
      async move(how: Move) {
        const answer = await ask<Backfill>(api.v1.backfills[':id'][how].$post({ param: { id } }))
        if (answer.state === 'ready') backfill.value = answer
        else await lookNow()
        return answer
      },
    }
  },
)
