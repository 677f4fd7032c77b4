import { useLocation } from 'preact-iso'
import { ask } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { Entrance } from '../../ui/entrance.tsx'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { NewPassword } from '../../ui/new-password.tsx'
import { Page } from '../../ui/page.tsx'

const fields = ['tenantName', 'email', 'password'] as const

export function SignUpPage() {
  const { url } = useLocation()
  const { submit, busy, problem } = useSubmit(
    (form) => {
      const [tenantName, email, password] = fields.map((name) => text(form, name))
      const json = { tenantName: tenantName ?? '', email: email ?? '', password: password ?? '' }
      return ask(entranceApi.v1['sign-up'].$post({ json }))
    },
    () => session.open(),
  )
  return (
    <Entrance>
      <Page title="Sign up">
        <form onSubmit={submit}>
          <Field label="Organisation" name="tenantName" problem={problem}>
            {(field) => <input {...field} autoComplete="organization" maxLength={100} required />}
          </Field>
          <Field label="E-mail" name="email" problem={problem}>
            {(field) => <input {...field} type="email" autoComplete="username" maxLength={254} required />}
          </Field>
          <NewPassword problem={problem} />
          <FormAlert problem={problem} shown={fields} />
          <button type="submit" data-main disabled={busy.value}>
            {busy.value ? 'Signing up…' : 'Sign up'}
          </button>
        </form>
        <p>
          Been here before? <a href={url.replace(/^[^?]*/, '/sign-in')}>Sign in</a>
        </p>
      </Page>
    </Entrance>
  )
}
