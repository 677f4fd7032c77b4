import { signal } from '@preact/signals'

/** A sign-in that was answered with the wish for a second factor. */
export type Challenge = { token: string; factors: readonly string[]; enrol: boolean }

/** The second step that this tab is at, and where it leads. */
export const awaited = signal<(Challenge & { returnTo?: string }) | undefined>(undefined)

/** What an answer to a first factor asks for, if it asks. */
export function challengeIn(answer: unknown): Challenge | undefined {
  if (typeof answer !== 'object' || answer === null || !('challenge' in answer)) return undefined
  return answer.challenge as Challenge
}

/** Takes what a redirect asks for out of the address, before anything else sees it. */
export function takeSecondStep(): void {
  const asked = new URLSearchParams(location.hash.slice(1))
  const token = asked.get('token')
  if (location.pathname !== '/sign-in' || !asked.has('factor') || token === null) return
  history.replaceState(history.state, '', `${location.pathname}${location.search}`)
  awaited.value = {
    token,
    factors: (asked.get('factors') ?? '').split(','),
    enrol: asked.get('enrol') === 'true',
    returnTo: asked.get('returnTo') ?? '/',
  }
}

/** Where a second factor is asked for, when a sign-in was answered with that; what follows # reaches no server. */
export function secondStep(answer: unknown): string | undefined {
  const challenge = challengeIn(answer)
  if (challenge === undefined) return undefined
  const { token, factors, enrol } = challenge
  const asked = new URLSearchParams({
    token,
    factors: factors.join(','),
    enrol: String(enrol),
    returnTo: '/',
  })
  return `/sign-in#factor&${asked.toString()}`
}
