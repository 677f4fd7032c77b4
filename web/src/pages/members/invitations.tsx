import { may } from '../../may.ts'
import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { Invitation } from './model.ts'
import type { MembersProps } from './page.tsx'
import { roleName } from '../../roles.ts'

type InvitationsProps = MembersProps & { invitations: readonly Invitation[] }

/** Who is invited and has not come yet. */
export function Invitations({ invitations, model, say }: InvitationsProps) {
  return (
    <Table caption="Who has not come yet, the newest first">
      <thead>
        <tr>
          <th scope="col">Invited</th>
          <th scope="col">Role</th>
          <th scope="col">Sent</th>
          <th scope="col">Good until</th>
          {may('members:write') && <th scope="col">Change</th>}
        </tr>
      </thead>
      <tbody>
        {invitations.map((one) => (
          <tr key={one.id}>
            <th scope="row">{one.email}</th>
            <td data-label="Role">{roleName(model.roles.value, one.role)}</td>
            <td data-label="Sent">
              <Time at={one.sentAt} />
            </td>
            <td data-label="Good until">
              <Time at={one.expiresAt} />
            </td>
            {may('members:write') && (
              <td data-wide>
                <Change invitation={one} model={model} say={say} />
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function Change({ invitation: { id, email }, model, say }: MembersProps & { invitation: Invitation }) {
  const { submit, busy, problem } = useSubmit(
    () => model.resend(id),
    () => say(`The invitation is on its way to ${email} again; the link before is worth nothing now.`),
  )
  return (
    <>
      <Actions>
        <form onSubmit={submit}>
          <button type="submit" aria-label={`Send again to ${email}`} disabled={busy.value}>
            Send again
          </button>
        </form>
        <Confirm
          word="Revoke"
          name={`Revoke the invitation of ${email}`}
          title={`Revoke the invitation of ${email}?`}
          action="Revoke"
          act={() => model.revoke(id)}
          done={() => say(`The invitation of ${email} is revoked.`)}
        >
          <p>The link in the mail is worth nothing from then on.</p>
        </Confirm>
      </Actions>
      <FormAlert problem={problem} shown={[]} />
    </>
  )
}
