import { shortId } from '../../ui/figures.ts'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { factsOf } from './facts.ts'
import type { Entry } from './model.ts'
import styles from './table.module.css'

type AuditTableProps = { entries: readonly Entry[]; names: ReadonlyMap<string, string> }

export function AuditTable({ entries, names }: AuditTableProps) {
  const nameOf = (id: string) => names.get(id) ?? (/^[a-z]+_/.test(id) ? shortId(id) : id)
  return (
    <Table caption="What was done, the newest first">
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">When</th>
          <th scope="col">Who</th>
          <th scope="col">From where</th>
          <th scope="col">More</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.id}>
            <th scope="row" class={styles.text}>
              {entry.action}
              <span class={styles.note} title={entry.targetId ?? undefined}>
                {targetOf(entry, nameOf)}
              </span>
            </th>
            <td data-label="When">
              <Time at={entry.at} />
            </td>
            <td data-label="Who" data-double title={entry.actor} class={styles.text}>
              {nameOf(entry.actor)}
            </td>
            <td data-label="From where" data-double class={styles.text}>
              {entry.address ?? '–'}
              {entry.credential !== null && (
                <span class={`${styles.note} ${styles.session}`} title={entry.credential}>
                  {credentialOf(entry.credential, nameOf)}
                </span>
              )}
            </td>
            <td data-wide>
              <More entry={entry} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function targetOf({ targetKind, targetName, targetId }: Entry, nameOf: (id: string) => string): string {
  const name = targetName ?? (targetId === null ? '' : nameOf(targetId))
  return `${targetKind.replaceAll(/[_-]/g, ' ')} ${name}`.trim()
}

const credentialOf = (id: string, nameOf: (id: string) => string): string =>
  id.startsWith('key_') ? nameOf(id) : `session ${nameOf(id)}`

function More({ entry }: { entry: Entry }) {
  return (
    <details class={styles.more}>
      <summary aria-label={`More of ${entry.action}`}>More</summary>
      <dl>
        {factsOf(entry).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  )
}
