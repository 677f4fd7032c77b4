import { may } from '../../may.ts'
import { roleName } from '../../roles.ts'
import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { ServiceAccount } from './model.ts'
import type { AccountsProps } from './page.tsx'

type TableProps = AccountsProps & { accounts: readonly ServiceAccount[] }

export function AccountsTable({ accounts, model, say }: TableProps) {
  return (
    <Table caption="The service accounts">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Role</th>
          <th scope="col">State</th>
          <th scope="col">Made</th>
          <th scope="col">Keys</th>
          {may('api-keys:write') && <th scope="col">Change</th>}
        </tr>
      </thead>
      <tbody>
        {accounts.map((account) => (
          <tr key={account.id}>
            <th scope="row">{account.name}</th>
            <td data-label="Role">{roleName(model.roles.value, account.role)}</td>
            <td data-label="State">{account.disabled ? 'disabled' : 'in use'}</td>
            <td data-label="Made">
              <Time at={account.createdAt} />
            </td>
            <td data-label="Keys">
              <a href={`/keys?of=${account.id}`} aria-label={`Keys of ${account.name}`}>
                Keys
              </a>
            </td>
            {may('api-keys:write') && (
              <td data-wide>
                <Change account={account} model={model} say={say} />
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function Change({ account, model, say }: AccountsProps & { account: ServiceAccount }) {
  const { name, disabled } = account
  const word = disabled ? 'Enable' : 'Disable'
  return (
    <Actions>
      <Confirm
        word={word}
        name={`${word} ${name}`}
        title={`${word} ${name}?`}
        action={word}
        act={() => model.disable(account, !disabled)}
        done={() => say(`${name} is ${disabled ? 'in use again' : 'disabled'}.`)}
      >
        <p>{disabled ? 'Its keys are good again.' : 'Its keys are refused until it is enabled again.'}</p>
      </Confirm>
      <Confirm
        word="Remove"
        name={`Remove ${name}`}
        title={`Remove ${name}?`}
        action="Remove"
        act={() => model.remove(account)}
        done={() => say(`${name} is removed.`)}
      >
        <p>Its keys are revoked with it. This cannot be taken back.</p>
      </Confirm>
    </Actions>
  )
}
