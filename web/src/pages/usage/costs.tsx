import { bytes, count, dollars, duration } from '../../ui/figures.ts'
import { Table } from '../../ui/table.tsx'
import type { Usage } from './model.ts'
import { groupings, type Grouping } from './period.ts'

type Amounts = Usage['totals']['amounts']

const columns: { name: string; of: (amounts: Amounts, cost: string) => string }[] = [
  { name: 'Requests', of: ({ requests = 0 }) => count(requests) },
  { name: 'Runs', of: ({ runs = 0 }) => count(runs) },
  { name: 'Rows', of: ({ rows = 0 }) => count(rows) },
  { name: 'Computing', of: ({ computeMs = 0 }) => duration(computeMs) },
  { name: 'Storage', of: ({ storageByteDays = 0 }) => `${bytes(storageByteDays)} days` },
  { name: 'Cost', of: (_, cost) => dollars(cost) },
]

/** What was used and what that costs to run, in groups and altogether. */
export function Costs({ usage, by }: { usage: Usage; by: Grouping }) {
  const { groups, totals, from, to } = usage
  if (groups.length === 0)
    return (
      <p>
        Nothing was used from {from} to {to}.
      </p>
    )
  return (
    <Table caption={`From ${from} to ${to}, by ${by}; days are those of UTC`}>
      <thead>
        <tr>
          <th scope="col">{groupings[by]}</th>
          {columns.map(({ name }) => (
            <th key={name} scope="col" data-number>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {groups.map(({ key, name, amounts, cost }) => (
          <tr key={key}>
            <th scope="row">{name ?? (key === '' ? `in no ${by}` : key)}</th>
            <Cells amounts={amounts} cost={cost} />
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Altogether</th>
          <Cells amounts={totals.amounts} cost={totals.cost} />
        </tr>
      </tfoot>
    </Table>
  )
}

function Cells({ amounts, cost }: { amounts: Amounts; cost: string }) {
  return columns.map(({ name, of }) => (
    <td key={name} data-number data-label={name}>
      {of(amounts, cost)}
    </td>
  ))
}
