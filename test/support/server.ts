import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'

type Fetch = (request: Request) => Response | Promise<Response>

/** Serves a fetch handler over HTTP on a free port, so that QStash and browsers can reach an app under test. */
export async function serve(handler: () => Fetch): Promise<{ url: string; close(): Promise<void> }> {
  let origin = ''
  const server = createServer((incoming, outgoing) => {
    const gone = new AbortController()
    outgoing.on('close', () => gone.abort())
    const answer = async () => {
      const response = await handler()(toRequest(origin, incoming, gone.signal))
      const cookies = response.headers.getSetCookie()
      const headers = {
        ...Object.fromEntries(response.headers),
        ...(cookies.length > 0 ? { 'set-cookie': cookies } : {}),
      }
      outgoing.writeHead(response.status, headers)
      if (response.body) for await (const chunk of response.body) outgoing.write(chunk)
      outgoing.end()
    }
    answer().catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: origin,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function toRequest(origin: string, incoming: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers))
    if (value !== undefined) headers.set(name, String(value))
  const method = incoming.method ?? 'GET'
  const body =
    method === 'GET' || method === 'HEAD'
      ? {}
      : { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' as const }
  return new Request(`${origin}${incoming.url ?? '/'}`, { method, headers, signal, ...body })
}
