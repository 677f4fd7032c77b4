import http from 'node:http'
import https from 'node:https'

import type { Answer } from './message.ts'

export type Outgoing = {
  url: string
  method: string
  headers: Record<string, string | string[]>
  body: Buffer
  timeoutMs: number
}

const bodyLimit = 4 * 1024 * 1024

/** Makes the requests to destinations over connections that are kept open. */
export class Sender {
  readonly #http = new http.Agent({ keepAlive: true, maxFreeSockets: 1_024, scheduling: 'lifo' })
  readonly #https = new https.Agent({ keepAlive: true, maxFreeSockets: 1_024, scheduling: 'lifo' })
  readonly #open = new Set<http.ClientRequest>()

  send(outgoing: Outgoing): Promise<Answer> {
    return new Promise((answer) => {
      try {
        this.#attempt(outgoing, answer)
      } catch (error) {
        answer(
          failed(`the request cannot be sent: ${error instanceof Error ? error.message : 'unknown reason'}`),
        )
      }
    })
  }

  /** Cuts everything in flight. */
  stop(): void {
    for (const request of this.#open) request.destroy(new Error('the server stopped'))
    this.#http.destroy()
    this.#https.destroy()
  }

  #attempt(outgoing: Outgoing, answer: (answer: Answer) => void): void {
    const { protocol, hostname, port, pathname, search, username, password } = new URL(outgoing.url)
    const isSecure = protocol === 'https:'
    const request = (isSecure ? https : http).request({
      agent: isSecure ? this.#https : this.#http,
      host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
      port: port || (isSecure ? 443 : 80),
      path: pathname + search,
      method: outgoing.method,
      headers: outgoing.headers,
      ...(username ? { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` } : {}),
    })
    this.#open.add(request)
    let isAnswered = false
    const finish = (result: Answer): void => {
      if (isAnswered) return
      isAnswered = true
      clearTimeout(timer)
      this.#open.delete(request)
      answer(result)
    }
    const timer = setTimeout(() => {
      finish(failed(`no answer within ${outgoing.timeoutMs} ms`))
      request.destroy()
    }, outgoing.timeoutMs)
    let hasResponse = false
    request.on('response', (response) => {
      hasResponse = true
      receive(response, finish)
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The destination closed a kept connection just as it was used again: not an attempt that it has seen.
      if (request.reusedSocket && error.code === 'ECONNRESET' && !hasResponse && !isAnswered) {
        isAnswered = true
        clearTimeout(timer)
        this.#open.delete(request)
        this.#attempt(outgoing, answer)
      } else finish(failed(error.message || error.code || 'the connection failed'))
    })
    request.end(outgoing.body.length > 0 ? outgoing.body : undefined)
  }
}

function receive(response: http.IncomingMessage, finish: (answer: Answer) => void): void {
  const chunks: Buffer[] = []
  let size = 0
  response.on('data', (chunk: Buffer) => {
    if (size < bodyLimit) chunks.push(chunk)
    size += chunk.length
  })
  response.on('end', () => {
    const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    finish({
      status: response.statusCode,
      headers: response.headers,
      body: body.subarray(0, bodyLimit),
      error: undefined,
    })
  })
  response.on('error', (error) => finish(failed(error.message)))
  response.on('close', () => finish(failed('the answer was cut off')))
}

export const failed = (error: string): Answer => ({
  status: undefined,
  headers: {},
  body: Buffer.alloc(0),
  error,
})
