import { signal } from '@preact/signals'
import { ask } from '../../api.ts'
import { entranceApi } from '../../browser.ts'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'

const words: Record<string, string> = {
  expired: 'That sign-in took too long, or was begun in another browser. Begin again.',
  failed: 'Your company’s sign-in did not work. Try again, or tell your administrator.',
  begin_here:
    'A sign-in must begin here: your company’s own page cannot begin one. Give your address at work below.',
  not_allowed: 'Your company’s sign-in worked, but this account may not use Weir. Ask your administrator.',
}

/** How the last way over the company's own sign-in ended, when it did not end well. */
const ended = signal<string | undefined>(undefined)

/** Takes it out of the address, so that it is not said again after the next step. */
function takeEnding(): void {
  const word = new URLSearchParams(location.hash.slice(1)).get('sso')
  if (word === null) return
  history.replaceState(history.state, '', `${location.pathname}${location.search}`)
  ended.value = words[word] ?? words['failed']
}

/** Signing in with the provider of the address's domain: the browser goes there and comes back signed in. */
export function CompanySignIn() {
  takeEnding()
  const { submit, busy, problem } = useSubmit(
    (form) => ask(entranceApi.v1.sso.start.$post({ json: { email: text(form, 'company-email') } })),
    ({ authorizationUrl }) => location.assign(authorizationUrl),
  )
  return (
    <form onSubmit={submit}>
      {ended.value !== undefined && <p role="alert">{ended.value}</p>}
      <Field label="Address at work" name="company-email" problem={problem}>
        {(field) => <input {...field} type="email" autoComplete="email" required />}
      </Field>
      <FormAlert problem={problem} shown={['company-email']} />
      <button type="submit" disabled={busy.value}>
        Sign in with your company
      </button>
    </form>
  )
}
