import { permissions } from '../../may.ts'
import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import type { MembersProps } from './page.tsx'
import { chosenRole, RoleSelect } from '../../ui/role-select.tsx'
import { givable } from '../../roles.ts'

export function Invite({ model, say }: MembersProps) {
  const roles = givable(model.roles.value, permissions())
  const { submit, busy, problem } = useSubmit(
    (form) => model.invite(text(form, 'email'), chosenRole(roles, text(form, 'role'))),
    ({ email }, form) => {
      form.reset()
      say(`An invitation is on its way to ${email}.`)
    },
  )
  return (
    <Form submit={submit} label="Invite somebody">
      <Field
        label="E-mail"
        name="email"
        hint="The invitation goes there and is good for a week"
        problem={problem}
      >
        {(field) => <input {...field} type="email" autoComplete="off" maxLength={254} required />}
      </Field>
      <Field label="Role" name="role" problem={problem}>
        {(field) => <RoleSelect field={field} roles={roles} chosen="viewer" />}
      </Field>
      <FormAlert problem={problem} shown={['email', 'role']} />
      <SubmitButton busy={busy} word="Invite" busyWord="Inviting…" />
    </Form>
  )
}
