import { bytes, count, duration } from '../../ui/figures.ts'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { Usage } from './model.ts'
import styles from './quotas.module.css'

type Quota = Usage['quotas'][number]

const words: Record<Quota['name'], { name: string; amount: (value: number) => string }> = {
  requests: { name: 'Requests to the API', amount: count },
  runs: { name: 'Runs', amount: count },
  rows: { name: 'Rows moved', amount: count },
  computeMs: { name: 'Computing time', amount: duration },
  storageBytes: { name: 'Stored', amount: bytes },
  members: { name: 'Members', amount: count },
}
const states = { ok: '', warning: 'nearly used up', used_up: 'used up' } as const

export function Quotas({ plan, quotas }: { plan: string; quotas: readonly Quota[] }) {
  return (
    <Table caption={`What the plan "${plan}" allows, and what is used of it`}>
      <thead>
        <tr>
          <th scope="col">Quota</th>
          <th scope="col" data-number>
            Used
          </th>
          <th scope="col" data-number>
            Allowed
          </th>
          <th scope="col">Share</th>
          <th scope="col">Begins anew</th>
        </tr>
      </thead>
      <tbody>
        {quotas.map((quota) => {
          const { name, amount } = words[quota.name]
          return (
            <tr key={quota.name}>
              <th scope="row">{name}</th>
              <td data-number data-label="Used">
                {amount(quota.used)}
              </td>
              <td data-number data-label="Allowed">
                {quota.limit === undefined ? 'no limit' : amount(quota.limit)}
              </td>
              <td data-label="Share" data-wide class={styles.share}>
                <Share of={quota} name={name} />
              </td>
              <td data-label="Begins anew">
                {quota.resetsAt === undefined ? 'never' : <Time at={quota.resetsAt} />}
              </td>
            </tr>
          )
        })}
      </tbody>
    </Table>
  )
}

function Share({ of: { used, limit, state }, name }: { of: Quota; name: string }) {
  if (limit === undefined) return <>–</>
  const percent = limit === 0 ? 100 : Math.floor((used / limit) * 100)
  return (
    <>
      <meter
        class={styles.meter}
        aria-label={name}
        min={0}
        max={100}
        low={80}
        high={99}
        optimum={0}
        value={Math.min(percent, 100)}
      />{' '}
      {percent} %{states[state] !== '' && <strong class={styles[state]}> {states[state]}</strong>}
    </>
  )
}
