import { useModel, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, session } from '../../browser.ts'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { Fact, Facts } from '../../ui/facts.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Section } from '../../ui/section.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { EmailForm } from './email.tsx'
import { AccountModel } from './model.ts'
import { Organisations } from './organisations.tsx'
import styles from './page.module.css'
import { PasswordForm } from './password.tsx'
import { Sessions } from './sessions.tsx'

export type AccountProps = { model: InstanceType<typeof AccountModel>; say: (text: string) => void }

/** Who one is, how one signs in, and where one is signed in. */
export function AccountPage() {
  const model = useModel(() => new AccountModel(api))
  const said = useSignal('')
  const say = (text: string) => {
    said.value = text
  }
  useEffect(() => {
    void session.look()
    void model.loadSessions()
    void model.loadOrganisations()
  }, [model])
  return (
    <SettingsPage title="Account">
      {() => (
        <>
          <Notice text={said} />
          <Who model={model} say={say} />
          <Section title="Where you are signed in">
            <Sessions model={model} say={say} />
          </Section>
          <div class={styles.forms}>
            <Section title="Password">
              <PasswordForm model={model} say={say} />
            </Section>
            <Section title="E-mail address">
              <EmailForm model={model} say={say} />
            </Section>
          </div>
          <Section title="Second factors">
            <p>
              A code of your phone or a passkey, besides the password: <a href="/security">Security</a>.
            </p>
          </Section>
          <Section title="Organisations">
            <Organisations model={model} />
          </Section>
        </>
      )}
    </SettingsPage>
  )
}

function Who({ model, say }: AccountProps) {
  const state = session.state.value
  if (state.state !== 'ready' || state.value.user === undefined) return null
  const { tenant, user } = state.value
  return (
    <>
      <Facts>
        <Fact name="E-mail">{user.email}</Fact>
        <Fact name="Organisation">{tenant.name}</Fact>
        <Fact name="Role">{user.role}</Fact>
        <Fact name="Id">
          <code>{user.id}</code>
        </Fact>
      </Facts>
      {user.emailVerified === false && <Unverified model={model} say={say} />}
    </>
  )
}

function Unverified({ model, say }: AccountProps) {
  const { submit, busy, problem } = useSubmit(
    () => model.sendVerification(),
    () => say('The mail is on its way. The link in it is good for an hour.'),
  )
  return (
    <form class={styles.unverified} onSubmit={submit}>
      <p>Your address is not confirmed yet: open the link in the mail that came when you signed up.</p>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" disabled={busy.value}>
        Send the mail again
      </button>
    </form>
  )
}
