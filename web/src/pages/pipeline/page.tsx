import { useSignal } from '@preact/signals'
import { useLocation, useRoute } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api, ask } from '../../api.ts'
import { loading, type Load, type Problem } from '../../load.ts'
import { Alert } from '../../ui/alert.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { RunsTable, type RunSummary } from '../runs/table.tsx'

type Pipeline = { id: string; name: string; description?: string; version: number; source: string }

export function PipelinePage() {
  const id = useRoute().params['id'] ?? ''
  const { route } = useLocation()
  const pipeline = useSignal<Load<Pipeline>>(loading)
  const runs = useSignal<Load<{ items: RunSummary[] }>>(loading)
  const problem = useSignal<Problem | undefined>(undefined)
  const busy = useSignal(false)
  useEffect(() => {
    void ask<Pipeline>(api.v1.pipelines[':id'].$get({ param: { id } })).then((answer) => {
      pipeline.value = answer
      document.title = `${answer.state === 'ready' ? answer.value.name : 'Pipeline'} · Weir`
    })
    void ask(api.v1.runs.$get({ query: { pipelineId: id } })).then((answer) => (runs.value = answer))
  }, [id])
  const start = async () => {
    busy.value = true
    const answer = await ask(api.v1.runs.$post({ json: { pipelineId: id } }))
    busy.value = false
    if (answer.state === 'ready') route(`/runs/${answer.value.id}`)
    else problem.value = answer.problem
  }
  return (
    <Loaded of={pipeline}>
      {(found) => (
        <>
          <h1 tabIndex={-1}>{found.name}</h1>
          {found.description && <p>{found.description}</p>}
          {problem.value && <Alert problem={problem.value} />}
          <button type="button" data-main disabled={busy.value} onClick={() => void start()}>
            Run now
          </button>
          <h2>Runs</h2>
          <Loaded of={runs}>{({ items }) => <RunsTable runs={items} />}</Loaded>
          <h2>Definition, version {found.version}</h2>
          <pre>{found.source}</pre>
        </>
      )}
    </Loaded>
  )
}
