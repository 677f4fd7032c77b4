import { useLocation } from 'preact-iso'
import { ask, tell } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { useMailLink } from '../../mail-link.ts'
import { secondStep } from '../../second-step.ts'
import { AskForMail } from '../../ui/ask-for-mail.tsx'
import { Entrance } from '../../ui/entrance.tsx'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { Page } from '../../ui/page.tsx'

/** Signing in with a mailed link: where it leads, and, without one, where it is asked for. */
export function LinkPage() {
  const link = useMailLink()
  return (
    <Entrance>
      <Page title="Sign in with a link">
        {link === undefined ? <AskForLink /> : <UseLink key={link.token} token={link.token} />}
        <p>
          <a href="/sign-in">Sign in another way</a>
        </p>
      </Page>
    </Entrance>
  )
}

/** A button, so that nobody is signed in by merely opening a page, and no program uses the link up. */
function UseLink({ token }: { token: string }) {
  const { route } = useLocation()
  const { submit, busy, problem } = useSubmit(
    () => ask<unknown>(entranceApi.v1.sessions.link.use.$post({ json: { token } })),
    async (answer) => {
      const next = secondStep(answer)
      if (next !== undefined) return location.assign(next)
      await session.open()
      route('/')
    },
  )
  return (
    <form onSubmit={submit}>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" data-main disabled={busy.value}>
        {busy.value ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  )
}

function AskForLink() {
  return <AskForMail ask={(email) => tell(entranceApi.v1.sessions.link.$post({ json: { email } }))} />
}
