import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

import { Client, Receiver } from '@upstash/qstash'
import { onTestFinished } from 'vitest'

import { startQstash, type Qstash, type QstashOptions } from '#local/qstash.ts'

type Received = {
  path: string
  method: string
  headers: IncomingHttpHeaders
  body: string
  at: number
}
type Answer = { status?: number; headers?: Record<string, string>; body?: string }
type Answering = (received: Received) => Answer | Promise<Answer> | undefined

export const keys = { currentSigningKey: 'sig_current_for_tests', nextSigningKey: 'sig_next_for_tests' }
export const token = 'token-for-tests'

/** A destination that notes what it gets; `answer` decides what it says, 200 when nothing. */
class Destination {
  readonly received: Received[] = []
  url = ''
  inFlight = 0
  mostInFlight = 0
  answer: Answering = () => undefined
  #watchers: (() => void)[] = []

  /** What arrived at paths that begin so, once there are so many of them. */
  async arrivals(count: number, path = '/'): Promise<Received[]> {
    for (;;) {
      const matching = this.at(path)
      if (matching.length >= count) return matching
      await new Promise<void>((next) => this.#watchers.push(next))
    }
  }

  at(path: string): Received[] {
    return this.received.filter((each) => each.path.startsWith(path))
  }

  /** Closes every connection. */
  hangUp: () => void = () => {}

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { url: path = '', method = '', headers } = request
        const received = {
          path,
          method,
          headers,
          body: Buffer.concat(chunks).toString(),
          at: performance.now(),
        }
        void this.#take(received).then(({ status = 200, headers: sent = {}, body = '' }) =>
          response.writeHead(status, sent).end(body),
        )
      })
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.hangUp = () => server.closeAllConnections()
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
  }

  async #take(received: Received): Promise<Answer> {
    this.received.push(received)
    this.inFlight++
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    for (const wake of this.#watchers.splice(0)) wake()
    const answer = (await this.answer(received)) ?? {}
    this.inFlight--
    return answer
  }
}

export type QstashWorld = {
  qstash: Qstash
  client: Client
  receiver: Receiver
  destination: Destination
  /** Asks the API without the client. */
  api: (
    method: string,
    path: string,
    init?: { headers?: Record<string, string>; body?: string },
  ) => Promise<Response>
}

/** A QStash and a destination of the test's own, ended with the test. */
export async function qstashWorld(options: Partial<QstashOptions> = {}): Promise<QstashWorld> {
  const destination = new Destination()
  await destination.start()
  const qstash = await startQstash({ token, ...keys, ...options })
  onTestFinished(() => qstash.stop())
  return { qstash, client: clientOf(qstash), receiver: new Receiver(keys), destination, api: apiOf(qstash) }
}

export const clientOf = (qstash: Qstash): Client =>
  new Client({ baseUrl: qstash.url, token, retry: { retries: 2, backoff: () => 1 }, enableTelemetry: false })

export const apiOf =
  (qstash: Qstash): QstashWorld['api'] =>
  (method, path, { headers = {}, body } = {}) =>
    fetch(qstash.url + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    })

/** A promise and its resolver, to hold a destination's answer back. */
export function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: () => resolve() }
}
