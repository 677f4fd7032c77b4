import { useSignal } from '@preact/signals'
import { tell } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { useMailLink } from '../../mail-link.ts'
import { AskForMail } from '../../ui/ask-for-mail.tsx'
import { Entrance } from '../../ui/entrance.tsx'
import { FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { NewPassword } from '../../ui/new-password.tsx'
import { Page } from '../../ui/page.tsx'
import { Username } from '../../ui/username.tsx'

const reset = entranceApi.v1.accounts['password-reset']

/** Choosing a new password: with a mailed link, and, without one, asking for it. */
export function ResetPage() {
  const link = useMailLink()
  return (
    <Entrance>
      <Page title="New password">
        {link === undefined ? <AskForReset /> : <ChoosePassword key={link.token} token={link.token} />}
        <p>
          <a href="/sign-in">Sign in</a>
        </p>
      </Page>
    </Entrance>
  )
}

function AskForReset() {
  return <AskForMail ask={(email) => tell(reset.$post({ json: { email } }))} />
}

function ChoosePassword({ token }: { token: string }) {
  const isDone = useSignal(false)
  const { submit, busy, problem } = useSubmit(
    (form) => tell(reset.use.$post({ json: { token, password: text(form, 'password') } })),
    async () => {
      isDone.value = true
      // Every session has ended, this browser's as well.
      await session.open()
    },
  )
  if (isDone.value)
    return <output>The password is changed, and every session has ended. Sign in anew.</output>
  return (
    <form onSubmit={submit}>
      <Username />
      <NewPassword label="New password" problem={problem} />
      <FormAlert problem={problem} shown={['password']} />
      <button type="submit" data-main disabled={busy.value}>
        Change the password
      </button>
    </form>
  )
}
