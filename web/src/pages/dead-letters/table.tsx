import { mayRun } from '../../may-run.ts'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import type { Letter, LettersModel } from './model.ts'
import styles from './table.module.css'

type LettersTableProps = {
  letters: readonly Letter[]
  model: InstanceType<typeof LettersModel>
  choosable: boolean
}

export function LettersTable({ letters, model, choosable }: LettersTableProps) {
  return (
    <Table caption={`Steps that failed for good, the newest first; times in ${ownZone}`}>
      <thead>
        <tr>
          {choosable && <th scope="col">Choose</th>}
          <th scope="col">Step</th>
          <th scope="col">Pipeline</th>
          <th scope="col">Error</th>
          <th scope="col" data-number>
            Attempts
          </th>
          <th scope="col">State</th>
          <th scope="col">When</th>
        </tr>
      </thead>
      <tbody>
        {letters.map((one) => (
          <tr key={one.id}>
            {choosable && (
              <td data-label="Choose" data-wide class={styles.choose}>
                {mayRun(one.pipelineId) && (
                  <input
                    type="checkbox"
                    aria-label={`Choose ${one.stepKey} of ${one.pipelineName}`}
                    checked={model.chosen.value.has(one.id)}
                    onChange={({ currentTarget }) => model.choose(one.id, currentTarget.checked)}
                  />
                )}
              </td>
            )}
            <th scope="row">
              <a href={`/dead-letters/${one.id}`}>{one.stepKey}</a>
            </th>
            <td data-label="Pipeline" data-wide>
              <a href={`/pipelines/${one.pipelineId}`}>{one.pipelineName}</a>
            </td>
            <td data-label="Error" data-wide class={styles.error}>
              {one.error.message} <code>{one.error.code}</code>
            </td>
            <td data-number data-label="Attempts">
              {one.attempts}
            </td>
            <td data-label="State">
              <StatusPill state={one.state} />
            </td>
            <td data-label="When">
              <Time at={one.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}
