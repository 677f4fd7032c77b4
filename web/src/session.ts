import { signal } from '@preact/signals'

/** Whether somebody is signed in, as far as the last answer told. */
export const signedIn = signal<boolean | undefined>(undefined)

const json = { 'Content-Type': 'application/json' }
let renewing: Promise<boolean> | undefined

/** Asks for the next access token; requests that run out together ask once. */
export function renew(): Promise<boolean> {
  renewing ??= fetch('/v1/sessions/refresh', { method: 'POST', headers: json, body: '{}' })
    .then((response) => response.ok)
    .catch(() => false)
    .then((renewed) => {
      signedIn.value = renewed
      renewing = undefined
      return renewed
    })
  return renewing
}
