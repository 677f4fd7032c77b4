import { useSignal } from '@preact/signals'
import { Field, Form, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Section } from '../../ui/section.tsx'
import { Username } from '../../ui/username.tsx'
import type { SecurityModel } from './model.ts'

type Way = 'password' | 'code' | 'recoveryCode'

/** Asks for a proof of whose session it is, and then goes on with what waited for it. */
export function Prove({ model }: { model: InstanceType<typeof SecurityModel> }) {
  const load = model.factors.value
  const items = load.state === 'ready' ? load.value.items : []
  const first: Way = items.length === 0 ? 'password' : 'code'
  const other = useSignal<Way | undefined>(undefined)
  const way = other.value ?? first
  const { submit, busy, problem } = useSubmit(
    (form) => model.prove({ [way]: text(form, way) } as { code: string }),
    () => undefined,
  )
  const passkey = useSubmit(
    () => model.proveWithPasskey(),
    () => undefined,
  )
  return (
    <Section title="Show that it is you" next>
      <p>Changing how you sign in needs a fresh proof. It is good for ten minutes.</p>
      {items.some(({ kind }) => kind === 'passkey') && (
        <Form submit={passkey.submit} label="Passkey">
          <FormAlert problem={passkey.problem} shown={[]} />
          <button type="submit" disabled={passkey.busy.value}>
            Show your passkey
          </button>
        </Form>
      )}
      <Form submit={submit} label="Show that it is you">
        {way === 'password' && <Username />}
        <Field label={labels[way]} name={way} problem={problem}>
          {(field) =>
            way === 'password' ? (
              <input {...field} type="password" autoComplete="current-password" required />
            ) : (
              <input {...field} autoComplete="one-time-code" required />
            )
          }
        </Field>
        <FormAlert problem={problem} shown={[way]} />
        <button type="submit" data-main disabled={busy.value}>
          Go on
        </button>
      </Form>
      {items.length > 0 && (
        <p>
          <button type="button" onClick={() => (other.value = way === 'code' ? 'recoveryCode' : 'code')}>
            {way === 'code' ? 'Use a recovery code' : 'Use a code of the app'}
          </button>
        </p>
      )}
    </Section>
  )
}

const labels: Record<Way, string> = {
  password: 'Password',
  code: 'Code of your authenticator app',
  recoveryCode: 'Recovery code',
}
