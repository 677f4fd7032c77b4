import { StatusPill } from '../../ui/status-pill.tsx'
import { duration, Time } from '../../ui/time.tsx'

export type RunSummary = {
  id: string
  pipelineId: string
  pipelineName: string
  version: number
  state: string
  trigger: string
  createdAt: string
  durationMs?: number
}

export function RunsTable({ runs }: { runs: RunSummary[] }) {
  if (runs.length === 0) return <p>Nothing has run yet.</p>
  return (
    <table>
      <caption>{runs.length} runs, the newest first</caption>
      <thead>
        <tr>
          <th scope="col">Run</th>
          <th scope="col">Pipeline</th>
          <th scope="col">State</th>
          <th scope="col">Trigger</th>
          <th scope="col">Created</th>
          <th scope="col" data-number>
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <th scope="row">
              <a href={`/runs/${run.id}`}>…{run.id.slice(-8)}</a>
            </th>
            <td>
              <a href={`/pipelines/${run.pipelineId}`}>{run.pipelineName}</a> v{run.version}
            </td>
            <td>
              <StatusPill state={run.state} />
            </td>
            <td>{run.trigger}</td>
            <td>
              <Time at={run.createdAt} />
            </td>
            <td data-number>{duration(run.durationMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
