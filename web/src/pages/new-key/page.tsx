import { useModel, useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { isId } from '../../id.ts'
import { may } from '../../may.ts'
import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { ShownKey } from '../../ui/shown-key.tsx'
import { ownerOf } from '../keys/model.ts'
import { NewKeyModel } from './model.ts'
import { Scopes } from './scopes.tsx'

export function NewKeyPage() {
  const { route, query } = useLocation()
  const model = useModel(() => new NewKeyModel({ api, may, now: () => new Date() }))
  useEffect(() => void model.load(), [model])
  const made = model.made.value
  const owner = made && ownerOf(made)
  const list = isId('sac', owner) ? `/keys?of=${owner}` : '/keys'
  return (
    <SettingsPage title="Make a key">
      {() =>
        made === undefined ? (
          <KeyForm model={model} owner={query['of'] ?? ''} />
        ) : (
          <ShownKey made={made} done={() => route(list)} />
        )
      }
    </SettingsPage>
  )
}

type KeyFormProps = { model: InstanceType<typeof NewKeyModel>; owner: string }
const shown = ['name', 'scopes', 'expiresAt', 'ipAllow']

function KeyForm({ model, owner }: KeyFormProps) {
  const { accounts, projects } = model
  const onDay = useSignal(false)
  const { submit, busy, problem } = useSubmit(
    (form) =>
      model.make({
        name: text(form, 'name'),
        owner: text(form, 'owner'),
        project: text(form, 'project'),
        expires: text(form, 'expires'),
        day: text(form, 'day'),
        addresses: text(form, 'addresses'),
      }),
    () => undefined,
  )
  return (
    <Form submit={submit} label="Make a key">
      <Field label="Name" name="name" hint="What it is for, so that you know it again" problem={problem}>
        {(field) => <input {...field} maxLength={100} autoComplete="off" required />}
      </Field>
      {accounts.value.length > 0 && (
        <Field
          label="Whose"
          name="owner"
          hint="Your own keys end when you leave; those of a service account stay"
          problem={problem}
        >
          {(field) => (
            <select {...field}>
              <option value="">my own</option>
              {accounts.value.map(({ id, name }) => (
                <option key={id} value={id} selected={id === owner}>
                  {name} (service account)
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <Scopes chosen={model.scopes} toggle={model.toggle} problem={problem} />
      {projects.value.length > 0 && (
        <Field
          label="Project"
          name="project"
          path="projectId"
          hint="What is in others it does not see"
          problem={problem}
        >
          {(field) => (
            <select {...field}>
              <option value="">all of them</option>
              {projects.value.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <Field label="Good for" name="expires" problem={problem}>
        {(field) => (
          <select {...field} onChange={({ currentTarget: { value } }) => (onDay.value = value === 'day')}>
            <option value="7">a week</option>
            <option value="30">30 days</option>
            <option value="90" selected>
              90 days
            </option>
            <option value="365">a year</option>
            <option value="day">until a day that I choose</option>
            <option value="never">ever, until it is revoked</option>
          </select>
        )}
      </Field>
      {onDay.value && (
        <Field label="Until the end of" name="day" path="expiresAt" problem={problem}>
          {(field) => <input {...field} type="date" required />}
        </Field>
      )}
      <Field
        label="Only from these addresses"
        name="addresses"
        path="ipAllow"
        hint="One a line, such as 203.0.113.7 or 203.0.113.0/24; empty for everywhere"
        problem={problem}
      >
        {(field) => <textarea {...field} rows={2} spellcheck={false} autoComplete="off" />}
      </Field>
      <FormAlert problem={problem} shown={onDay.value ? shown : shown.filter((one) => one !== 'expiresAt')} />
      <SubmitButton busy={busy} word="Make the key" busyWord="Making…" />
    </Form>
  )
}
