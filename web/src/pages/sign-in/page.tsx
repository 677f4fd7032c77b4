import { useLocation } from 'preact-iso'
import { ask } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { passkeys } from '../../passkeys.ts'
import { awaited, challengeIn } from '../../second-step.ts'
import { Entrance } from '../../ui/entrance.tsx'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Page } from '../../ui/page.tsx'
import { CompanySignIn } from './company.tsx'
import { SecondStep } from './second-step.tsx'

export function SignInPage() {
  const { url } = useLocation()
  const { submit, busy, problem } = useSubmit(
    (form) =>
      ask<unknown>(
        entranceApi.v1.sessions.$post({
          json: { email: text(form, 'email'), password: text(form, 'password') },
        }),
      ),
    signedIn,
  )
  const alone = useSubmit(withPasskey, signedIn)
  const challenge = awaited.value
  if (challenge !== undefined)
    return (
      <Entrance>
        <Page title="Second step">
          <SecondStep challenge={challenge} />
        </Page>
      </Entrance>
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
        <form onSubmit={alone.submit}>
          <FormAlert problem={alone.problem} shown={[]} />
          <button type="submit" disabled={alone.busy.value}>
            Use a passkey instead
          </button>
        </form>
        <CompanySignIn />
        <p>
          <a href="/reset">Forgot the password?</a> <a href="/link">Send me a link</a>
        </p>
        <p>
          New here? <a href={url.replace(/^[^?]*/, '/sign-up')}>Sign up</a>
        </p>
      </Page>
    </Entrance>
  )
}

/** Who is signed in is sent on to where they wanted to go; who is not yet goes on to the second step. */
async function signedIn(answer: unknown): Promise<void> {
  const challenge = challengeIn(answer)
  if (challenge !== undefined) awaited.value = challenge
  else await session.open()
}

async function withPasskey() {
  const asked = await ask(entranceApi.v1.sessions.passkey.options.$post())
  if (asked.state === 'failed') return asked
  const signed = await passkeys.get(asked.value)
  if (signed.state === 'failed') return signed
  return ask<unknown>(entranceApi.v1.sessions.passkey.$post({ json: { passkey: signed.value } }))
}
