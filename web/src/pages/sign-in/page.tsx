import { useLocation } from 'preact-iso'
import { ask } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { Entrance } from '../../ui/entrance.tsx'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Page } from '../../ui/page.tsx'

export function SignInPage() {
  const { url } = useLocation()
  const { submit, busy, problem } = useSubmit(
    (form) =>
      ask(
        entranceApi.v1.sessions.$post({
          json: { email: text(form, 'email'), password: text(form, 'password') },
        }),
      ),
    // Who is signed in is sent on to where they wanted to go.
    () => session.open(),
  )
  return (
    <Entrance>
      <Page title="Sign in">
        <form onSubmit={submit}>
          <Field label="E-mail" name="email" problem={problem}>
            {(field) => <input {...field} type="email" autoComplete="username" required />}
          </Field>
          <Field label="Password" name="password" problem={problem}>
            {(field) => <input {...field} type="password" autoComplete="current-password" required />}
          </Field>
          <FormAlert problem={problem} shown={['email', 'password']} />
          <button type="submit" data-main disabled={busy.value}>
            {busy.value ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
        <p>
          New here? <a href={url.replace(/^[^?]*/, '/sign-up')}>Sign up</a>
        </p>
      </Page>
    </Entrance>
  )
}
