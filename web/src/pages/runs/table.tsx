import { duration, shortId } from '../../ui/figures.ts'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { RunSummary } from './model.ts'
import styles from './table.module.css'

type RunsTableProps = { runs: readonly RunSummary[]; caption: string; ofOnePipeline?: boolean }

export function RunsTable({ runs, caption, ofOnePipeline = false }: RunsTableProps) {
  return (
    <Table caption={caption}>
      <thead>
        <tr>
          <th scope="col">Run</th>
          {!ofOnePipeline && <th scope="col">Pipeline</th>}
          <th scope="col">State</th>
          <th scope="col" data-number>
            Version
          </th>
          <th scope="col">Started by</th>
          <th scope="col">Created</th>
          <th scope="col" data-number>
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <th scope="row" class={styles.id}>
              <a href={`/runs/${run.id}`} title={run.id}>
                {shortId(run.id)}
              </a>
            </th>
            {!ofOnePipeline && (
              <td data-label="Pipeline" data-wide>
                <a href={`/pipelines/${run.pipelineId}`}>{run.pipelineName}</a>
              </td>
            )}
            <td data-label="State" data-double>
              <StatusPill state={run.state} />
            </td>
            <td data-number data-label="Version">
              {run.version}
            </td>
            <td data-label="Started by">{run.trigger === 'manual' ? 'hand' : run.trigger}</td>
            <td data-label="Created">
              <Time at={run.createdAt} />
            </td>
            <td data-number data-label="Took">
              {run.durationMs === undefined ? '–' : duration(run.durationMs)}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}
