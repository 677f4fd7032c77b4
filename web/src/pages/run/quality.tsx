import { count } from '../../ui/figures.ts'
import { StatusPill, type Status } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import type { Quality } from './run.ts'
import styles from './quality.module.css'

export function QualityTable({ results }: { results: readonly Quality[] }) {
  return (
    <Table caption="Every rule, with the values that it looked at">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Step</th>
          <th scope="col">Result</th>
          <th scope="col" data-number>
            Checked
          </th>
          <th scope="col" data-number>
            Failed
          </th>
        </tr>
      </thead>
      <tbody>
        {results.map((result, position) => (
          // oxlint-disable-next-line react/no-array-index-key -- a rule has no other name than its place
          <tr key={position}>
            <th scope="row">
              {result.column && <code>{result.column}</code>}{' '}
              <span class={styles.rule}>{result.rule.replaceAll('_', ' ')}</span>
            </th>
            <td data-label="Step" data-wide>
              {result.stepKey}
            </td>
            <td data-label="Result">
              <StatusPill state={outcome(result)} />
            </td>
            <td data-number data-label="Checked">
              {count(result.checked)}
            </td>
            <td data-number data-label="Failed">
              {count(result.failed)}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function outcome({ passed, onFail }: Quality): Status {
  if (passed) return 'passed'
  return onFail === 'warn' ? 'warned' : onFail === 'reject' ? 'rejected' : 'failed'
}
