import type { IncomingMessage, ServerResponse } from 'node:http'

import { ApiFailure, badRequest } from './failure.ts'
import type { Faults } from './faults.ts'
import type { Journal } from './journal.ts'

export type Call = {
  method: string
  /** As it was sent: not decoded, and with its query. */
  url: string
  path: string
  search: string
  headers: IncomingMessage['headersDistinct']
  body: Buffer
  callerIp: string
}
/** `hangUp` closes the connection without an answer. */
export type Reply = { status: number; body?: unknown; headers?: Record<string, string>; hangUp?: true }
type Route = (call: Call) => Reply | Promise<Reply>

type Options = { token: string; faults: Faults; journal: Journal; maxBodyBytes: number; route: Route }

export const ok = (body: unknown): Reply => ({ status: 200, body })
export const done: Reply = { status: 200 }

/** The HTTP side: checks the token, reads the body, and answers when what the call changed is written. */
export function createApi(options: Options): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= options.maxBodyBytes) chunks.push(chunk)
    })
    request.on('end', () => {
      const first = chunks[0]
      const body = first && chunks.length === 1 ? first : Buffer.concat(chunks)
      void answer(options, toCall(request, body), size, response)
    })
    request.on('error', () => response.destroy())
  }
}

async function answer(options: Options, call: Call, size: number, response: ServerResponse): Promise<void> {
  let reply: Reply
  try {
    if (size > options.maxBodyBytes) throw new ApiFailure(413, 'the message is too large')
    if (!isAuthorized(call, options.token)) throw new ApiFailure(401, 'unauthorized: invalid token')
    const faulty = call.path.startsWith('/v2/') ? await strike(options.faults, call.url) : undefined
    const routed = faulty ?? options.route(call)
    reply = routed instanceof Promise ? await routed : routed
  } catch (thrown) {
    const error = thrown instanceof URIError ? badRequest('the path is not encoded properly') : thrown
    const isExpected = error instanceof ApiFailure
    if (!isExpected) console.error('QStash:', error)
    const message = isExpected ? error.message : 'internal error'
    reply = { status: isExpected ? error.status : 500, body: { error: message } }
  }
  options.journal.committed(() => send(response, reply))
}

function send(response: ServerResponse, { status, body, headers, hangUp }: Reply): void {
  if (hangUp) return void response.destroy()
  if (response.destroyed) return
  const text = body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  })
  response.end(text)
}

function toCall(request: IncomingMessage, body: Buffer): Call {
  const url = request.url ?? '/'
  const at = url.indexOf('?')
  return {
    method: request.method ?? 'GET',
    url,
    path: at === -1 ? url : url.slice(0, at),
    search: at === -1 ? '' : url.slice(at + 1),
    headers: request.headersDistinct,
    body,
    callerIp: request.socket.remoteAddress ?? '',
  }
}

function isAuthorized({ headers, search }: Call, token: string): boolean {
  const authorization = headers.authorization?.[0]
  if (authorization !== undefined) return authorization === `Bearer ${token}`
  return search.includes('qstash_token=') && new URLSearchParams(search).get('qstash_token') === token
}

async function strike(faults: Faults, url: string): Promise<Reply | undefined> {
  for (const fault of faults.strike('api', url)) {
    if (fault.kind === 'slowApi') await new Promise((wake) => setTimeout(wake, fault.ms))
    else {
      const prefix = fault.family === 'burst' ? 'Burst-RateLimit' : 'RateLimit'
      const headers = {
        [`${prefix}-Limit`]: String(fault.limit ?? 100),
        [`${prefix}-Remaining`]: '0',
        [`${prefix}-Reset`]: String(fault.resetAt ?? Math.ceil(Date.now() / 1_000) + 1),
      }
      return { status: 429, headers, body: { error: 'Exceeded rate limit' } }
    }
  }
  return undefined
}
