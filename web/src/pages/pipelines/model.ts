import { createModel, signal, type ReadonlySignal } from '@preact/signals'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { pollWhile } from '../../polling.ts'
import type { RunSummary } from '../runs/model.ts'

const everyMs = 10_000
const recentRuns = '200'

/** The newest run of each pipeline among the recent ones; `all` when there are no others. */
export type LastRuns = { byPipeline: ReadonlyMap<string, RunSummary>; all: boolean }

export const PipelinesModel = createModel((api: Client, visible: ReadonlySignal<boolean>) => {
  const init = { init: { signal: untilDisposed() } }
  const pipelines = listModel((cursor) =>
    ask(api.v1.pipelines.$get({ query: cursor === undefined ? {} : { cursor } }, init)),
  )
  const lastRuns = signal<LastRuns | undefined>(undefined)

  async function lookAtRuns(): Promise<boolean> {
    const answer = await ask(api.v1.runs.$get({ query: { limit: recentRuns } }, init))
    if (answer.state === 'ready') lastRuns.value = newestOfEach(answer.value)
    return answer.state === 'ready'
  }

  pollWhile(visible, everyMs, async () => {
    const worked = await Promise.all([pipelines.look(), lookAtRuns()])
    return worked.every(Boolean)
  })

  return { pipelines, lastRuns }
})

function newestOfEach({
  items,
  nextCursor,
}: {
  items: RunSummary[]
  nextCursor?: string | undefined
}): LastRuns {
  const byPipeline = new Map<string, RunSummary>()
  for (const run of items) if (!byPipeline.has(run.pipelineId)) byPipeline.set(run.pipelineId, run)
  return { byPipeline, all: nextCursor === undefined }
}
