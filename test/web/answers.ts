import type { Fetch } from '../../web/src/api.ts'

export type Asked = {
  method: string
  path: string
  search: string
  body: string
  headers: Headers
  signal?: AbortSignal | undefined
}
type Reply = { status?: number; body?: unknown } | Error

/** A server that answers as it is told, and remembers what it was asked. */
export function answers(answer: (asked: Asked) => Reply | Promise<Reply>) {
  const asked: Asked[] = []
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, { ...init, signal: null })
    const { pathname: path, search } = new URL(request.url)
    const one = {
      method: request.method,
      path,
      search,
      body: await request.text(),
      headers: request.headers,
      signal: init?.signal ?? undefined,
    }
    asked.push(one)
    const reply = await answer(one)
    if (reply instanceof Error) throw reply
    const { status = 200, body } = reply
    if (body === undefined) return new Response(null, { status })
    return typeof body === 'string' ? new Response(body, { status }) : Response.json(body, { status })
  }
  return { fetch, asked, paths: () => asked.map(({ method, path, search }) => `${method} ${path}${search}`) }
}

export const origin = 'http://console.test'

export const problem = (status: number, code: string, detail = `It is ${code}.`) => ({
  status,
  body: { status, code, detail },
})
