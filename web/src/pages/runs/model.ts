import { createModel, type ReadonlySignal } from '@preact/signals'
import type { InferRequestType, InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { pollWhile } from '../../polling.ts'

type List = Client['v1']['runs']['$get']
export type RunSummary = InferResponseType<List, 200>['items'][number]
export type RunFilter = Pick<InferRequestType<List>['query'], 'pipelineId' | 'backfillId' | 'state'>

const everyMs = 5_000

export const RunsModel = createModel(
  (api: Client, visible: ReadonlySignal<boolean>, filter: RunFilter, limit?: string) => {
    const init = { init: { signal: untilDisposed() } }
    const query = limit === undefined ? filter : { ...filter, limit }
    const runs = listModel((cursor) =>
      ask(api.v1.runs.$get({ query: cursor === undefined ? query : { ...query, cursor } }, init)),
    )
    pollWhile(visible, everyMs, runs.look)
    return { runs }
  },
)
