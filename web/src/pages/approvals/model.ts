import { createModel, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { pollWhile } from '../../polling.ts'
import { decide } from './decide.ts'

type Answer = InferResponseType<Client['v1']['approvals']['$get'], 200>
export type Approval = Answer['items'][number] & { id: string }

const everyMs = 5_000

/** What waits for somebody's approval in the whole tenant. */
export const ApprovalsModel = createModel((api: Client, visible: ReadonlySignal<boolean>) => {
  const init = { init: { signal: untilDisposed() } }
  const approvals = listModel<Approval>(async (cursor) => {
    const query = cursor === undefined ? {} : { cursor }
    const answer = await ask<Answer>(api.v1.approvals.$get({ query }, init))
    if (answer.state === 'failed') return answer
    const items = answer.value.items.map((one) => ({ ...one, id: idOf(one) }))
    return { state: 'ready', value: { ...answer.value, items } }
  })
  pollWhile(visible, everyMs, approvals.look)

  return {
    approvals,
    async decide(approval: Approval, isApproved: boolean, comment: string) {
      const answer = await decide(api, approval, isApproved, comment)
      // Whether one decided it or somebody else just has: it waits no longer.
      if (answer.state === 'ready') approvals.drop(approval.id)
      else if (answer.problem.status === 409) await approvals.look()
      return answer
    },
  }
})

const idOf = ({ runId, step, outer = 0, item = 0 }: Answer['items'][number]): string =>
  `${runId} ${step} ${outer} ${item}`
