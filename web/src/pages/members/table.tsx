import { session } from '../../browser.ts'
import { may, permissions } from '../../may.ts'
import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { text } from '../../ui/form.tsx'
import { Leave } from '../../ui/leave.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { Member } from './model.ts'
import type { MembersProps } from './page.tsx'
import { chosenRole, RoleSelect } from '../../ui/role-select.tsx'
import { givable, roleName } from '../../roles.ts'

/** Everybody, and what can be done about them by who may do it. */
export function MembersTable({ members, model, say }: MembersProps & { members: readonly Member[] }) {
  const writes = may('members:write')
  const state = session.state.value
  const own = state.state === 'ready' ? state.value : undefined
  return (
    <Table caption="The members of the organisation">
      <thead>
        <tr>
          <th scope="col">Member</th>
          <th scope="col">Role</th>
          <th scope="col">Since</th>
          <th scope="col">Change</th>
        </tr>
      </thead>
      <tbody>
        {members.map((member) => (
          <tr key={member.id}>
            <th scope="row">{member.email}</th>
            <td data-label="Role">{roleName(model.roles.value, member.role)}</td>
            <td data-label="Since">
              <Time at={member.joinedAt} />
            </td>
            <td data-wide>
              {member.id === own?.user?.id ? (
                <Actions>
                  This is you <Leave name={own.tenant.name} />
                </Actions>
              ) : (
                writes && <Change member={member} model={model} say={say} />
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function Change({ member, model, say }: MembersProps & { member: Member }) {
  const roles = givable(model.roles.value, permissions())
  // Who may do more than oneself is not one's to change.
  if (roles.every(({ id }) => id !== member.role)) return null
  const { id, email } = member
  return (
    <Actions>
      <Confirm
        word="Change role"
        name={`Change role of ${email}`}
        title={`Role of ${email}`}
        action="Give this role"
        act={(form) => model.changeRole(id, chosenRole(roles, text(form, 'role')))}
        done={() => say(`The role of ${email} is changed, from their next request on.`)}
      >
        <RoleSelect
          field={{ id: `role-${id}`, name: 'role', 'aria-label': 'Role' }}
          roles={roles}
          chosen={member.role}
        />
      </Confirm>
      <Confirm
        word="Remove"
        name={`Remove ${email}`}
        title={`Remove ${email}?`}
        action="Remove"
        act={() => model.remove(id)}
        done={() => say(`${email} is not a member any more.`)}
      >
        <p>
          Their sessions here and their API keys end at once. What they have made stays. To come back they
          need a new invitation.
        </p>
      </Confirm>
    </Actions>
  )
}
