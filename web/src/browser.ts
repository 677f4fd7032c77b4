import { signal } from '@preact/signals'
import { newClient } from './api.ts'
import { SessionModel } from './session.ts'

/** What models are given of the browser that they run in. */
export const session = new SessionModel({
  fetch: (input, init) => fetch(input, init),
  alone: (work) => navigator.locks.request('weir-session', work),
})

export const api = newClient(session.fetch)

/** For signing in and up, where a 401 says something else than that a session has run out. */
export const entranceApi = newClient((input, init) => fetch(input, init))

export const visible = signal(document.visibilityState === 'visible')
document.addEventListener('visibilitychange', () => {
  visible.value = document.visibilityState === 'visible'
})
