import { useModel } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import type { Answered } from '../../load.ts'
import { passkeys } from '../../passkeys.ts'
import { Actions } from '../../ui/actions.tsx'
import { Alert } from '../../ui/alert.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { Field, Form, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { QrCode } from '../../ui/qr-code.tsx'
import { RecoveryCodes } from '../../ui/recovery-codes.tsx'
import { Section } from '../../ui/section.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { SecurityModel, type Factor, type Factors } from './model.ts'
import styles from './page.module.css'
import { Prove } from './prove.tsx'

type Model = InstanceType<typeof SecurityModel>

/** A person's own second factors. */
export function SecurityPage() {
  const model = useModel(() => new SecurityModel({ api, passkeys }))
  useEffect(() => void model.load(), [model])
  const { codes, waiting, begun, problem } = model
  return (
    <SettingsPage title="Security">
      {() => (
        <>
          {problem.value && <Alert problem={problem.value} />}
          {waiting.value && <Prove model={model} />}
          {codes.value.length > 0 && <RecoveryCodes codes={codes.value} done={() => (codes.value = [])} />}
          {begun.value && <SetUp model={model} begun={begun.value} />}
          <Loaded of={model.factors} retry={() => void model.load()}>
            {(factors) => <Own model={model} factors={factors} />}
          </Loaded>
        </>
      )}
    </SettingsPage>
  )
}

function Own({ model, factors }: { model: Model; factors: Factors }) {
  const { items, recoveryCodes, required } = factors
  return (
    <Section title="Second factors">
      {items.length === 0 ? (
        <p>
          {required ? 'Your role needs one; none is set up.' : 'None. A password alone opens your account.'}
        </p>
      ) : (
        <FactorsTable model={model} factors={items} />
      )}
      {items.length > 0 && (
        <p class={styles.codes}>
          {recoveryCodes} of your recovery codes are left.{' '}
          <Confirm
            word="New recovery codes"
            title="New recovery codes?"
            action="Make new ones"
            act={() => after(model.renewCodes())}
            done={() => undefined}
          >
            <p>The ones that you have kept so far are worth nothing from then on.</p>
          </Confirm>
        </p>
      )}
      <div class={styles.ways}>
        <AddApp model={model} />
        <AddPasskey model={model} />
      </div>
    </Section>
  )
}

/** What goes wrong is said by the page, which may ask for a proof first. */
const after = async (work: Promise<void>): Promise<Answered<true>> => {
  await work
  return { state: 'ready', value: true }
}

function AddApp({ model }: { model: Model }) {
  const { submit, busy } = useSubmit(
    () => after(model.beginCodes()),
    () => undefined,
  )
  return (
    <Form submit={submit} label="Authenticator app">
      <p>An app on your phone that shows another code every half minute.</p>
      <button type="submit" disabled={busy.value}>
        Add an authenticator app
      </button>
    </Form>
  )
}

function AddPasskey({ model }: { model: Model }) {
  const { submit, busy } = useSubmit(
    (form) => after(model.addPasskey(text(form, 'passkey') || 'Passkey')),
    () => undefined,
  )
  return (
    <Form submit={submit} label="Passkey">
      <Field
        label="Name of the new passkey"
        name="passkey"
        hint="Kept by this device, your phone or a security key"
        problem={model.problem}
      >
        {(field) => <input {...field} maxLength={100} autoComplete="off" />}
      </Field>
      <button type="submit" disabled={busy.value}>
        Add a passkey
      </button>
    </Form>
  )
}

function FactorsTable({ model, factors }: { model: Model; factors: Factors['items'] }) {
  return (
    <Table caption="What you show besides your password">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Kind</th>
          <th scope="col">Last used</th>
          <th scope="col">Change</th>
        </tr>
      </thead>
      <tbody>
        {factors.map(({ id, name, kind, lastUsedAt }) => (
          <tr key={id}>
            <th scope="row">{name}</th>
            <td data-label="Kind">{kind === 'totp' ? 'Authenticator app' : 'Passkey'}</td>
            <td data-label="Last used">{lastUsedAt === undefined ? 'Never' : <Time at={lastUsedAt} />}</td>
            <td data-wide>
              <Remove model={model} id={id} name={name} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

function Remove({ model, id, name }: { model: Model } & Pick<Factor, 'id' | 'name'>) {
  return (
    <Actions>
      <Confirm
        word="Remove"
        name={`Remove ${name}`}
        title={`Remove ${name}?`}
        action="Remove"
        act={() => after(model.remove(id))}
        done={() => undefined}
      >
        <p>It opens your account no longer. To use it again it must be set up anew.</p>
      </Confirm>
    </Actions>
  )
}

function SetUp({ model, begun }: { model: Model; begun: { secret: string; uri: string } }) {
  const { submit, busy, problem } = useSubmit(
    (form) => model.confirmCodes(text(form, 'code')),
    () => undefined,
  )
  return (
    <Section title="Set up the authenticator app" next>
      <p>Scan this with the app, or type the key into it. Then type the code that it shows.</p>
      <QrCode value={begun.uri} />
      <p>
        <code>{begun.secret}</code>
      </p>
      <Form submit={submit}>
        <Field label="Code" name="code" problem={problem}>
          {(field) => (
            <input {...field} inputMode="numeric" autoComplete="one-time-code" pattern="[0-9]{6}" required />
          )}
        </Field>
        <FormAlert problem={problem} shown={['code']} />
        <button type="submit" data-main disabled={busy.value}>
          Confirm
        </button>
      </Form>
    </Section>
  )
}
