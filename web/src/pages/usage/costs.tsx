import { bytes, count, dollars, duration } from '../../ui/figures.ts'
import { Table } from '../../ui/table.tsx'
import type { Usage } from './model.ts'
import { groupings, type Grouping } from './period.ts'

type Amounts = Usage['totals']['amounts']

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
          <th scope="col" data-number>
            Requests
          </th>
          <th scope="col" data-number>
            Runs
          </th>
          <th scope="col" data-number>
            Rows
          </th>
          <th scope="col" data-number>
            Computing
          </th>
          <th scope="col" data-number>
            Storage
          </th>
          <th scope="col" data-number>
            Cost
          </th>
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
  const { requests = 0, runs = 0, rows = 0, computeMs = 0, storageByteDays = 0 } = amounts
  return (
    <>
      <td data-number data-label="Requests">
        {count(requests)}
      </td>
      <td data-number data-label="Runs">
        {count(runs)}
      </td>
      <td data-number data-label="Rows">
        {count(rows)}
      </td>
      <td data-number data-label="Computing">
        {duration(computeMs)}
      </td>
      <td data-number data-label="Storage">
        {bytes(storageByteDays)} days
      </td>
      <td data-number data-label="Cost">
        {dollars(cost)}
      </td>
    </>
  )
}
