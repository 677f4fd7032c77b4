import { hc } from 'hono/client'
import type { Api } from '#src/app.ts'
import { renew } from './session.ts'
import type { Load, Problem } from './load.ts'

/** The server's own types. The session travels in cookies that no script can read. */
export const api = hc<Api>('/', { fetch: fetchInSession })

/** A request whose session has just run out is made again once, with the next one. */
async function fetchInSession(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const first = await fetch(input, init)
  if (first.status !== 401 || !(await renew())) return first
  return fetch(input, init)
}

type Answer<T> = { ok: boolean; status: number; json(): Promise<T>; headers: Headers }

/** The answer's body, or what went wrong, as one of the two. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<Exclude<Load<T>, { state: 'loading' }>> {
  try {
    const response = await call
    if (response.ok) return { state: 'ready', value: await response.json() }
    return { state: 'failed', problem: (await response.json()) as Problem }
  } catch {
    return { state: 'failed', problem: { status: 0, code: 'unreachable', detail: 'Weir cannot be reached.' } }
  }
}
