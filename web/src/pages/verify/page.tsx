import { useSignal } from '@preact/signals'
import { tell } from '../../api.ts'
import { entranceApi, session } from '../../browser.ts'
import { useMailLink } from '../../mail-link.ts'
import { Entrance } from '../../ui/entrance.tsx'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { Page } from '../../ui/page.tsx'

const { accounts } = entranceApi.v1

/** What each kind of link does here, in the words of its button, and what there is to say when it is done. */
const kinds = {
  '': {
    title: 'Confirm the address',
    words: 'This confirms that the address is yours.',
    done: 'The address is confirmed.',
    use: (token: string) => tell(accounts.verify.$post({ json: { token } })),
  },
  change: {
    title: 'Use this address',
    words: 'From now on you sign in with the address that this mail came to.',
    done: 'The address is yours from now on.',
    use: (token: string) => tell(accounts.email.confirm.$post({ json: { token } })),
  },
  undo: {
    title: 'Undo the change',
    words: 'This brings your address back, ends every session and removes the password.',
    done: 'The address is back. The mail that is on its way brings a link to choose a password.',
    use: (token: string) => tell(accounts.email.undo.$post({ json: { token } })),
  },
} as const

/**
 * Where links about an address lead. Nothing happens before the button is pressed: programs that look at mails follow
 * links, too.
 */
export function VerifyPage() {
  const link = useMailLink()
  const kind = link?.purpose === 'change' || link?.purpose === 'undo' ? kinds[link.purpose] : kinds['']
  return (
    <Entrance>
      <Page title={kind.title}>
        {link === undefined ? (
          <p>This page is for a link in a mail. Open it from there once more.</p>
        ) : (
          <UseLink key={link.token} token={link.token} kind={kind} />
        )}
        <p>
          <a href="/">Go to Weir</a>
        </p>
      </Page>
    </Entrance>
  )
}

type UseLinkProps = { token: string; kind: (typeof kinds)[keyof typeof kinds] }

function UseLink({ token, kind }: UseLinkProps) {
  const isDone = useSignal(false)
  const { submit, busy, problem } = useSubmit(
    () => kind.use(token),
    async () => {
      isDone.value = true
      await session.open()
    },
  )
  if (isDone.value) return <output>{kind.done}</output>
  return (
    <form onSubmit={submit}>
      <p>{kind.words}</p>
      <FormAlert problem={problem} shown={[]} />
      <button type="submit" data-main disabled={busy.value}>
        {kind.title}
      </button>
    </form>
  )
}
