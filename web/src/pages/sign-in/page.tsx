import { useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { ask, api } from '../../api.ts'
import type { Problem } from '../../load.ts'
import { signedIn } from '../../session.ts'
import { Alert } from '../../ui/alert.tsx'
import styles from './page.module.css'

const text = (form: FormData, name: string): string => String(form.get(name) ?? '')

export function SignInPage() {
  const { route, query } = useLocation()
  const busy = useSignal(false)
  const problem = useSignal<Problem | undefined>(undefined)
  useEffect(() => {
    document.title = 'Sign in · Weir'
  }, [])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    busy.value = true
    problem.value = undefined
    const answer = await ask(
      api.v1.sessions.$post({ json: { email: text(form, 'email'), password: text(form, 'password') } }),
    )
    busy.value = false
    if (answer.state === 'failed') {
      problem.value = answer.problem
      return
    }
    signedIn.value = true
    // Only a path of this site: a link to the sign-in must not lead elsewhere.
    const next = query['next'] ?? '/'
    route(/^\/(?![/\\])/.test(next) ? next : '/')
  }
  return (
    <section class={styles.card}>
      <h1 tabIndex={-1}>Sign in to Weir</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          E-mail <input name="email" type="email" autoComplete="username" required />
        </label>
        <label>
          Password <input name="password" type="password" autoComplete="current-password" required minLength={8} />
        </label>
        {problem.value && <Alert problem={problem.value} />}
        <button type="submit" data-main disabled={busy.value}>
          Sign in
        </button>
      </form>
    </section>
  )
}
