import { session } from '../../browser.ts'
import { Actions } from '../../ui/actions.tsx'
import { Leave } from '../../ui/leave.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { AccountProps } from './page.tsx'

/** Where one is a member; one leaves the organisation that one works in. */
export function Organisations({ model }: Pick<AccountProps, 'model'>) {
  const state = session.state.value
  const current = state.state === 'ready' ? state.value.tenant.id : undefined
  return (
    <Loaded of={model.organisations} retry={() => void model.loadOrganisations()}>
      {({ items }) => (
        <Table caption="Where you are a member">
          <thead>
            <tr>
              <th scope="col">Organisation</th>
              <th scope="col">Your role</th>
              <th scope="col">Since</th>
              <th scope="col">Leave</th>
            </tr>
          </thead>
          <tbody>
            {items.map(({ id, name, role, joinedAt }) => (
              <tr key={id}>
                <th scope="row">{name}</th>
                <td data-label="Your role">{role}</td>
                <td data-label="Since">
                  <Time at={joinedAt} />
                </td>
                <td data-wide>
                  {id === current ? (
                    <Actions>
                      <Leave name={name} />
                    </Actions>
                  ) : (
                    'Switch there to leave'
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </Loaded>
  )
}
