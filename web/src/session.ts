import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, newClient, type Client, type Fetch } from './api.ts'
import type { ApiProblem, Load } from './load.ts'
import { loading } from './load.ts'

export type Me = InferResponseType<Client['v1']['me']['$get'], 200>
/** Who is signed in; `left` when they went by themselves. */
export type SessionState = Load<Me> | { state: 'out'; left: boolean }

type Environment = {
  fetch: Fetch
  /** One at a time in all of this browser's tabs: they share one refresh token, and showing it twice ends the session. */
  alone: (work: () => Promise<boolean>) => Promise<boolean>
  origin?: string
}

export const SessionModel = createModel(({ fetch, alone, origin = '/' }: Environment) => {
  const state = signal<SessionState>(loading)
  const problem = signal<ApiProblem | undefined>(undefined)
  const api = newClient(fetchInSession, origin)
  let renewing: Promise<boolean> | undefined

  /** Asks for the next access token; requests that run out together ask once. */
  function renew(): Promise<boolean> {
    renewing ??= alone(renewNow).finally(() => {
      renewing = undefined
    })
    return renewing
  }

  async function renewNow(): Promise<boolean> {
    const renewed: Response = await newClient(fetch, origin).v1.sessions.refresh.$post({ json: {} })
    if (renewed.status === 401) state.value = { state: 'out', left: false }
    return renewed.ok
  }

  /** A request whose access token has run out is made again once, with the next one. */
  async function fetchInSession(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const first = await fetch(input, init)
    if (first.status === 403) void look()
    if (first.status !== 401 || !(await renew())) return first
    const second = await fetch(input, init)
    if (second.status === 401) state.value = { state: 'out', left: false }
    return second
  }

  /** Learns of what has changed about who is signed in, such as their role. What is shown stays when that does not work. */
  async function look(): Promise<void> {
    const answer = await ask(newClient(fetch, origin).v1.me.$get())
    const known = JSON.stringify(state.value) === JSON.stringify(answer)
    if (answer.state === 'ready' && state.value.state === 'ready' && !known) state.value = answer
  }

  return {
    state,
    /** Why signing out did not work. */
    problem,
    fetch: fetchInSession,
    look,
    /** Finds out who is signed in. */
    async open(): Promise<void> {
      const answer = await ask(api.v1.me.$get())
      if (answer.state === 'failed' && answer.problem.status === 401)
        state.value = { state: 'out', left: false }
      else state.value = answer
    },
    async leave(): Promise<void> {
      const response: Response | undefined = await api.v1.sessions.current.$delete().catch(() => undefined)
      if (response?.ok || response?.status === 401) {
        problem.value = undefined
        state.value = { state: 'out', left: true }
      } else {
        problem.value = {
          status: response?.status ?? 0,
          code: 'unreachable',
          detail: 'You are still signed in: Weir did not answer.',
        }
      }
    },
  }
})

const entrances = new Set(['/sign-in', '/sign-up'])
export const isEntrance = (path: string): boolean => entrances.has(path)

/** Where links in mails lead: for who is signed in as for who is not. */
const open = new Set(['/invitation', '/verify', '/link', '/reset'])
export const isOpen = (path: string): boolean => open.has(path)

type Place = { path: string; url: string; query: Record<string, string> }

/** Where somebody belongs instead: to the sign-in when signed out, and from there back to where they wanted to go. */
export function destination(session: SessionState, { path, url, query }: Place): string | undefined {
  if (session.state === 'out' && !isEntrance(path) && !isOpen(path))
    return session.left || url === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(url)}`
  if (session.state === 'ready' && isEntrance(path)) return nextPath(query['next'])
  return undefined
}

/** Only a page of this site: a link to the sign-in must not lead elsewhere. */
export function nextPath(next = '/'): string {
  const here = 'https://weir.invalid'
  const url = URL.canParse(next, here) ? new URL(next, here) : undefined
  return url?.origin === here && !isEntrance(url.pathname) ? `${url.pathname}${url.search}` : '/'
}
