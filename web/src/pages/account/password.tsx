import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import { NewPassword } from '../../ui/new-password.tsx'
import { Username } from '../../ui/username.tsx'
import type { AccountProps } from './page.tsx'

export function PasswordForm({ model, say }: AccountProps) {
  const { submit, busy, problem } = useSubmit(
    (form) => model.changePassword(text(form, 'oldPassword'), text(form, 'password')),
    async (_, form) => {
      form.reset()
      await model.loadSessions()
      say('Your password is changed, and your other sessions have ended. A mail tells you so, too.')
    },
  )
  return (
    <Form submit={submit} label="Change the password">
      <Username />
      <Field label="Current password" name="oldPassword" problem={problem}>
        {(field) => (
          <input {...field} type="password" autoComplete="current-password" maxLength={256} required />
        )}
      </Field>
      <NewPassword label="New password" problem={problem} />
      <FormAlert problem={problem} shown={['oldPassword', 'password']} />
      <SubmitButton busy={busy} word="Change the password" busyWord="Changing…" />
      <p>
        Forgot it, or never had one? <a href="/reset">Have a link sent to you</a>
      </p>
    </Form>
  )
}
