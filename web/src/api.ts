import { hc } from 'hono/client'
import type { Api } from '#src/app.ts'
import type { Answered, ApiProblem } from './load.ts'

export type Fetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>

/** The server's own types. The session travels in cookies that no script can read. */
export const newClient = (fetch: Fetch, origin = '/') => hc<Api>(origin, { fetch })
export type Client = ReturnType<typeof newClient>

type Answer<T> = { ok: boolean; status: number; json(): Promise<T> }

/** The answer's body, or what went wrong, as one of the two. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<Answered<T>> {
  let response
  try {
    response = await call
  } catch {
    return failed(0, 'unreachable', 'Weir cannot be reached. Is the network there?')
  }
  try {
    if (response.ok) return { state: 'ready', value: await response.json() }
    const body: unknown = await response.json()
    if (isProblem(body)) return { state: 'failed', problem: body }
  } catch {
    // Not JSON: something between here and Weir answered, or the answer broke off.
  }
  return failed(response.status, 'unreadable', `The answer cannot be read (status ${response.status}).`)
}

/** The same where a good answer has nothing in it. */
export const tell = (call: Promise<Answer<unknown>>): Promise<Answered<true>> =>
  ask(
    call.then((response) => ({
      ok: response.ok,
      status: response.status,
      // What is not ok is a problem, which `ask` takes as it finds it.
      json: async () => (response.ok ? true : await response.json()) as true,
    })),
  )

const failed = (status: number, code: string, detail: string) =>
  ({ state: 'failed', problem: { status, code, detail } }) as const

const isProblem = (body: unknown): body is ApiProblem =>
  typeof body === 'object' && body !== null && 'detail' in body && 'code' in body
