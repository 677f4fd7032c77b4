import { useModel } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect, useState } from 'preact/hooks'
import { api, entranceApi, session } from '../../browser.ts'
import { useAnotherLink } from '../../mail-link.ts'
import { secondStep } from '../../second-step.ts'
import { Entrance } from '../../ui/entrance.tsx'
import { Field, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { NewPassword } from '../../ui/new-password.tsx'
import { Page } from '../../ui/page.tsx'
import { InvitationModel, takeToken, type Offer } from './model.ts'

/** Where the link of an invitation leads: joining with the account that one has, or with a new one. */
export function InvitationPage() {
  const [token, setToken] = useState(takeToken)
  useAnotherLink(() => setToken(takeToken()))
  return (
    <Entrance>
      <Page title="Invitation">
        <Offered key={token} token={token} />
      </Page>
    </Entrance>
  )
}

function Offered({ token }: { token: string }) {
  const model = useModel(() => new InvitationModel({ api, entranceApi, token }))
  useEffect(() => void model.load(), [model])
  return (
    <Loaded of={model.offer} retry={() => void model.load()}>
      {(offer) => <Join model={model} offer={offer} />}
    </Loaded>
  )
}

type JoinProps = { model: InstanceType<typeof InvitationModel>; offer: Offer }

function Join({ model, offer }: JoinProps) {
  const state = session.state.value
  return (
    <>
      <p>
        You are invited to join <strong>{offer.tenant.name}</strong> as {offer.email}.
      </p>
      {state.state === 'ready' ? (
        <JoinAsMyself model={model} offer={offer} email={state.value.user?.email} />
      ) : offer.hasAccount ? (
        <p>
          This address has an account: <a href="/sign-in?next=/invitation">sign in</a> to join.
        </p>
      ) : (
        <JoinAsNew model={model} email={offer.email} />
      )}
    </>
  )
}

/** Into the console, or first to the second factor that the tenant wants. */
async function enter(answer: unknown, route: (url: string) => void): Promise<void> {
  const next = secondStep(answer)
  if (next !== undefined) return location.assign(next)
  await session.open()
  route('/')
}

function JoinAsMyself({ model, offer, email }: JoinProps & { email: string | undefined }) {
  const { route } = useLocation()
  const { submit, busy, problem } = useSubmit(
    () => model.join(),
    (answer) => enter(answer, route),
  )
  if (email?.toLowerCase() !== offer.email.toLowerCase())
    return (
      <>
        <p>You are signed in as {email}, and the invitation is for another address.</p>
        <button type="button" onClick={() => void session.leave()}>
          Sign out
        </button>
      </>
    )
  return (
    <form onSubmit={submit}>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" data-main disabled={busy.value}>
        {busy.value ? 'Joining…' : 'Join'}
      </button>
    </form>
  )
}

function JoinAsNew({ model, email }: { model: InstanceType<typeof InvitationModel>; email: string }) {
  const { route } = useLocation()
  const { submit, busy, problem } = useSubmit(
    (form) => model.joinAs({ name: text(form, 'name'), password: text(form, 'password') }),
    (answer) => enter(answer, route),
  )
  return (
    <form onSubmit={submit}>
      <input type="hidden" autoComplete="username" value={email} />
      <Field label="Your name" name="name" path="account.name" problem={problem}>
        {(field) => <input {...field} autoComplete="name" maxLength={100} required />}
      </Field>
      <NewPassword path="account.password" problem={problem} />
      <FormAlert problem={problem} shown={['account.name', 'account.password']} />
      <button type="submit" data-main disabled={busy.value}>
        {busy.value ? 'Joining…' : 'Join'}
      </button>
    </form>
  )
}
