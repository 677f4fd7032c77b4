import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import { Username } from '../../ui/username.tsx'
import type { AccountProps } from './page.tsx'

/** Asks for another address; it changes only when the link that goes there is opened. */
export function EmailForm({ model, say }: AccountProps) {
  const { submit, busy, problem } = useSubmit(
    (form) => model.changeEmail(text(form, 'email'), text(form, 'password')),
    (_, form) => {
      const email = text(new FormData(form), 'email')
      form.reset()
      say(`A mail is on its way to ${email}. Your address changes when the link in it is opened.`)
    },
  )
  return (
    <Form submit={submit} label="Change the e-mail address">
      <Username />
      <Field
        label="New e-mail address"
        name="email"
        hint="A link goes there; until it is opened nothing changes"
        problem={problem}
      >
        {(field) => <input {...field} type="email" autoComplete="email" maxLength={254} required />}
      </Field>
      <Field label="Your password" name="password" problem={problem}>
        {(field) => (
          <input {...field} type="password" autoComplete="current-password" maxLength={256} required />
        )}
      </Field>
      <FormAlert problem={problem} shown={['email', 'password']} />
      <SubmitButton busy={busy} word="Send the link" busyWord="Sending…" />
    </Form>
  )
}
