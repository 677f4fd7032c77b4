import { useSignal } from '@preact/signals'
import type { Answered } from '../load.ts'
import { Field, FormAlert, text, useSubmit } from './form.tsx'

/** Asks for a mail with a link in it; whether the address has an account is not said. */
export function AskForMail({ ask }: { ask: (email: string) => Promise<Answered<true>> }) {
  const isSent = useSignal(false)
  const { submit, busy, problem } = useSubmit(
    (form) => ask(text(form, 'email')),
    () => {
      isSent.value = true
    },
  )
  if (isSent.value) return <output>If this address has an account, a link is on its way to it.</output>
  return (
    <form onSubmit={submit}>
      <Field label="E-mail" name="email" problem={problem}>
        {(field) => <input {...field} type="email" autoComplete="username" maxLength={254} required />}
      </Field>
      <FormAlert problem={problem} shown={['email']} />
      <button type="submit" data-main disabled={busy.value}>
        Send me a link
      </button>
    </form>
  )
}
