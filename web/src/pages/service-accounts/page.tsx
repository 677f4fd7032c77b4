import { useModel, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { may, permissions } from '../../may.ts'
import { givable } from '../../roles.ts'
import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Notice } from '../../ui/notice.tsx'
import { chosenRole, RoleSelect } from '../../ui/role-select.tsx'
import { Section } from '../../ui/section.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { ServiceAccountsModel } from './model.ts'
import { AccountsTable } from './table.tsx'

export type AccountsProps = {
  model: InstanceType<typeof ServiceAccountsModel>
  say: (text: string) => void
}

/** Members that are programs: their keys stay when people go. */
export function ServiceAccountsPage() {
  return (
    <SettingsPage title="Service accounts" needs="api-keys:read">
      {() => <Accounts />}
    </SettingsPage>
  )
}

function Accounts() {
  const model = useModel(() => new ServiceAccountsModel(api, may))
  const said = useSignal('')
  const say = (text: string) => {
    said.value = text
  }
  const { accounts } = model
  useEffect(() => void model.load(), [model])
  return (
    <>
      <p>A service account is a member that is a program. Its keys stay when people go.</p>
      <Notice text={said} />
      <Loaded of={accounts.list} retry={() => void accounts.look()}>
        {({ items, nextCursor }) =>
          items.length === 0 ? (
            <p>There is no service account yet.</p>
          ) : (
            <>
              <AccountsTable accounts={items} model={model} say={say} />
              <More model={accounts} has={nextCursor !== undefined} />
            </>
          )
        }
      </Loaded>
      {may('api-keys:write') && (
        <Section title="Make a service account">
          <Make model={model} say={say} />
        </Section>
      )}
    </>
  )
}

function Make({ model, say }: AccountsProps) {
  // One that may do nothing by its role would have keys that open nothing.
  const roles = givable(model.roles.value, permissions()).filter(({ id }) => id !== 'guest')
  const { submit, busy, problem } = useSubmit(
    (form) => model.make(text(form, 'name'), chosenRole(roles, text(form, 'role'))),
    ({ name }, form) => {
      form.reset()
      say(`${name} is there. It needs a key now.`)
    },
  )
  return (
    <Form submit={submit} label="Make a service account">
      <Field label="Name" name="name" problem={problem}>
        {(field) => <input {...field} maxLength={100} autoComplete="off" required />}
      </Field>
      <Field label="Role" name="role" hint="The most that its keys can allow" problem={problem}>
        {(field) => <RoleSelect field={field} roles={roles} chosen="developer" />}
      </Field>
      <FormAlert problem={problem} shown={['name', 'role']} />
      <SubmitButton busy={busy} word="Make it" busyWord="Making…" />
    </Form>
  )
}
