import { useModel } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { passkeys } from '../../passkeys.ts'
import { Alert } from '../../ui/alert.tsx'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Page } from '../../ui/page.tsx'
import { QrCode } from '../../ui/qr-code.tsx'
import { RecoveryCodes } from '../../ui/recovery-codes.tsx'
import { Time } from '../../ui/time.tsx'
import { SecurityModel, type Factors } from './model.ts'
import { Prove } from './prove.tsx'
import { Sessions } from './sessions.tsx'

type Model = InstanceType<typeof SecurityModel>

/** A person's own second factors and sessions. */
export function SecurityPage() {
  const model = useModel(() => new SecurityModel({ api, passkeys }))
  useEffect(() => void model.load(), [model])
  const { codes, waiting, begun, problem } = model
  return (
    <Page title="Security">
      {problem.value && <Alert problem={problem.value} />}
      {waiting.value && <Prove model={model} />}
      {codes.value.length > 0 && <RecoveryCodes codes={codes.value} done={() => (codes.value = [])} />}
      {begun.value && <Confirm model={model} begun={begun.value} />}
      <Loaded of={model.factors} retry={() => void model.load()}>
        {(factors) => <Own model={model} factors={factors} />}
      </Loaded>
      <Sessions />
    </Page>
  )
}

function Own({ model, factors }: { model: Model; factors: Factors }) {
  const { items, recoveryCodes, required } = factors
  const { submit, busy } = useSubmit(
    async (form) => {
      await model.addPasskey(text(form, 'passkey') || 'Passkey')
      return { state: 'ready', value: undefined } as const
    },
    () => undefined,
  )
  const none = model.problem
  return (
    <section aria-labelledby="factors">
      <h2 id="factors">Second factors</h2>
      {items.length === 0 && (
        <p>
          {required ? 'Your role needs one; none is set up.' : 'None. A password alone opens your account.'}
        </p>
      )}
      {items.length > 0 && (
        <table>
          <caption>What you show besides your password</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Kind</th>
              <th scope="col">Last used</th>
              <th scope="col">Change</th>
            </tr>
          </thead>
          <tbody>
            {items.map(({ id, name, kind, lastUsedAt }) => (
              <tr key={id}>
                <th scope="row">{name}</th>
                <td>{kind === 'totp' ? 'Authenticator app' : 'Passkey'}</td>
                <td>{lastUsedAt === undefined ? 'Never' : <Time at={lastUsedAt} />}</td>
                <td>
                  <button type="button" aria-label={`Remove ${name}`} onClick={() => void model.remove(id)}>
                    Remove
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p>
        <button type="button" onClick={() => void model.beginCodes()}>
          Add an authenticator app
        </button>
      </p>
      <form onSubmit={submit}>
        <Field label="Name of the new passkey" name="passkey" problem={none}>
          {(field) => <input {...field} maxLength={100} autoComplete="off" />}
        </Field>
        <button type="submit" disabled={busy.value}>
          Add a passkey
        </button>
      </form>
      {items.length > 0 && (
        <p>
          {recoveryCodes} of your recovery codes are left.{' '}
          <button type="button" onClick={() => void model.renewCodes()}>
            New recovery codes
          </button>
        </p>
      )}
    </section>
  )
}

function Confirm({ model, begun }: { model: Model; begun: { secret: string; uri: string } }) {
  const { submit, busy, problem } = useSubmit(
    (form) => model.confirmCodes(text(form, 'code')),
    () => undefined,
  )
  return (
    <section aria-labelledby="confirm">
      <h2 id="confirm">Set up the authenticator app</h2>
      <p>Scan this with the app, or type the key into it. Then type the code that it shows.</p>
      <QrCode value={begun.uri} />
      <p>
        <code>{begun.secret}</code>
      </p>
      <form onSubmit={submit}>
        <Field label="Code" name="code" problem={problem}>
          {(field) => (
            <input {...field} inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" required />
          )}
        </Field>
        <FormAlert problem={problem} shown={['code']} />
        <button type="submit" data-main disabled={busy.value}>
          Confirm
        </button>
      </form>
    </section>
  )
}
