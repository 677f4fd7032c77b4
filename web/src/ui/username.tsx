import { session } from '../browser.ts'

/** Tells password managers whose password it is. */
export function Username() {
  const state = session.state.value
  const email = state.state === 'ready' ? state.value.user?.email : undefined
  return <input type="text" name="username" autoComplete="username" value={email ?? ''} readOnly hidden />
}
