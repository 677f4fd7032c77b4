import { serve } from './server.ts'

export type Asked = { method: string; path: string; headers: Headers; body: string }
type Reply = (asked: Asked, nth: number) => Response | Promise<Response>

/** A user's own server: each path answers as it was told to, and everything that was asked is kept. */
export type Endpoint = {
  url: string
  asked: Asked[]
  at(path: string): Asked[]
  on(path: string, reply: Reply): void
  close(): Promise<void>
}

export async function endpoint(): Promise<Endpoint> {
  const asked: Asked[] = []
  const replies = new Map<string, Reply>()
  const at = (path: string) => asked.filter((one) => one.path === path)
  const server = await serve(() => async (request) => {
    const path = new URL(request.url).pathname
    const one = { method: request.method, path, headers: request.headers, body: await request.text() }
    asked.push(one)
    const reply = replies.get(path)
    return reply ? reply(one, at(path).length) : new Response('there is no such path', { status: 404 })
  })
  return {
    url: server.url,
    asked,
    at,
    on: (path, reply) => void replies.set(path, reply),
    close: () => server.close(),
  }
}
