import { useState } from 'preact/hooks'
import { ask } from './api.ts'
import type { Answered } from './load.ts'

/** What a link in a mail brought, behind the # that no server sees. */
export type MailLink = { token: string; purpose: string }

/** Reads the link, and takes it out of the address before anything else sees it. */
export function takeMailLink(
  place: Pick<Location, 'hash' | 'pathname' | 'search'>,
  history: Pick<History, 'replaceState' | 'state'>,
): MailLink | undefined {
  const brought = new URLSearchParams(place.hash.slice(1))
  const token = brought.get('token')
  if (token === null) return undefined
  history.replaceState(history.state, '', `${place.pathname}${place.search}`)
  return { token, purpose: brought.get('for') ?? '' }
}

export function useMailLink(): MailLink | undefined {
  const [link] = useState(() => takeMailLink(location, history))
  return link
}

type Told = { ok: boolean; status: number; json(): Promise<unknown> }

/** The same as `ask` where a good answer has nothing in it. */
export const tell = (call: Promise<Told>): Promise<Answered<true>> =>
  ask(
    call.then((response) => ({
      ok: response.ok,
      status: response.status,
      // What is not ok is a problem, which `ask` takes as it finds it.
      json: async () => (response.ok ? true : await response.json()) as true,
    })),
  )
