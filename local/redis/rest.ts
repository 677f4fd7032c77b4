import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import { readCall, type Call } from './call.ts'
import type { Command, Engine } from './engine.ts'
import type { RedisFault, RedisFaults } from './faults.ts'
import { Failure, toEnvelope, toResp, type Reply } from './reply.ts'
import { screen } from './screen.ts'
import type { Scripts } from './scripts.ts'
import type { Streams } from './streams.ts'

export type RedisStats = { requests: number; commands: number; failures: number; streams: number }

export type RestOptions = {
  engine: Engine
  scripts: Scripts
  streams: Streams
  stats: RedisStats
  faults: RedisFaults
  token: string
  readOnlyToken: string | undefined
}

const mostBytes = 10 * 1024 * 1024
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT'])

type Format = { isBase64: boolean; isResp: boolean }

/** Answers the requests of Upstash's REST clients. */
export class RestApi {
  readonly #options: RestOptions
  readonly #life = randomUUID()
  #answers = 0

  constructor(options: RestOptions) {
    this.#options = options
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { stats, faults } = this.#options
    stats.requests++
    const body = await readBody(request)
    const { path, query } = splitUrl(request.url ?? '/')
    const may = this.#permission(request.headers.authorization, query)
    if (may === undefined) return this.#fail(response, 401, 'WRONGPASS invalid or missing auth token')
    if (!methods.has(request.method ?? '')) return this.#fail(response, 405, 'ERR method is not allowed')
    if (body === undefined) {
      const limit = `ERR max request size exceeded. Limit: ${mostBytes} bytes`
      return this.#fail(response, 413, limit)
    }
    const format = readFormat(request)
    if (typeof format === 'string') return this.#fail(response, 400, format)
    const call = readCall(
      path,
      query.filter(([name]) => name !== '_token'),
      body,
    )
    if (call.kind === 'malformed') return this.#fail(response, 400, call.message)

    const struck = faults.isArmed ? faults.strike(commandsOf(call)) : []
    for (const fault of struck) if (await this.#suffer(fault, request, response)) return
    if (call.kind === 'stream') {
      if (may === 'read') return this.#fail(response, 400, noPermission(call.listening.kind))
      return this.#options.streams.open(call.listening, response, this.#syncToken())
    }
    stats.commands += call.commands.length
    const replies = await this.#run(call.kind, call.commands, may === 'read')
    if (struck.some(({ kind }) => kind === 'dropReply')) return void request.socket.destroy()
    this.#send(response, call.kind, replies, format)
  }

  /** Answers a request that nothing else could answer. */
  breakDown(response: ServerResponse, error: unknown): void {
    const message = error instanceof Error ? error.message : 'internal error'
    if (response.headersSent) response.destroy()
    else this.#fail(response, 500, `ERR ${message}`)
  }

  #permission(header: string | undefined, query: readonly [string, string][]): 'write' | 'read' | undefined {
    const shown = header?.replace(/^bearer /i, '') ?? query.find(([name]) => name === '_token')?.[1]
    if (shown === this.#options.token) return 'write'
    return shown !== undefined && shown === this.#options.readOnlyToken ? 'read' : undefined
  }

  async #run(kind: 'one' | 'pipeline' | 'transaction', commands: readonly Command[], isReadOnly: boolean) {
    const { engine, scripts } = this.#options
    const refusals = commands.map((command) => screen(command, isReadOnly))
    const refusal = refusals.find((each) => each !== undefined)
    if (refusal !== undefined && kind !== 'pipeline') return [refusal]
    const allowed = refusal === undefined ? commands : commands.filter((_, i) => refusals[i] === undefined)
    const translated = allowed.map((command) => scripts.translate(command))
    const ran = await (kind === 'transaction' ? engine.transact(translated) : engine.run(translated))
    const replies = ran.map((reply, i) => (allowed[i] ? scripts.translateReply(allowed[i], reply) : reply))
    if (refusal === undefined) return replies
    let next = 0
    return refusals.map((each) => each ?? replies[next++] ?? null)
  }

  #send(
    response: ServerResponse,
    kind: Call['kind'],
    replies: readonly Reply[],
    { isBase64, isResp }: Format,
  ): void {
    const [first = null] = replies
    const hasFailed =
      kind !== 'pipeline' && first instanceof Failure && (kind === 'one' || replies.length === 1)
    if (hasFailed) this.#options.stats.failures++
    const status = hasFailed ? 400 : 200
    if (isResp && kind !== 'transaction') {
      return this.#write(response, status, 'application/octet-stream', Buffer.concat(replies.map(toResp)))
    }
    if (kind === 'one' || hasFailed) {
      return this.#write(response, status, 'application/json', toEnvelope(first, isBase64))
    }
    let json = '['
    for (const reply of replies)
      json += json === '[' ? toEnvelope(reply, isBase64) : `,${toEnvelope(reply, isBase64)}`
    this.#write(response, status, 'application/json', `${json}]`)
  }

  #fail(response: ServerResponse, status: number, message: string): void {
    this.#options.stats.failures++
    this.#write(response, status, 'application/json', `{"error":${JSON.stringify(message)}}`)
  }

  #write(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
    if (response.destroyed) return
    response.writeHead(status, [
      'Content-Type',
      type,
      'Content-Length',
      String(Buffer.byteLength(body)),
      'Upstash-Sync-Token',
      this.#syncToken(),
    ])
    response.end(body)
  }

  /** Another one for each answer. All that was written before is there for whoever asks: there is but one Redis. */
  #syncToken(): string {
    return `${this.#life}:${(++this.#answers).toString(36)}`
  }

  /** True when the request is over. */
  async #suffer(fault: RedisFault, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    switch (fault.kind) {
      case 'unauthorized':
        this.#fail(response, 401, 'WRONGPASS invalid or missing auth token')
        return true
      case 'refuse':
        request.socket.destroy()
        return true
      case 'error':
        this.#fail(response, fault.status, fault.message)
        return true
      case 'latency':
        await sleep(fault.ms)
        return response.destroyed
      case 'flushScripts':
        await this.#options.faults.flushScripts()
        return false
      case 'dropReply':
        return false
    }
  }
}

function commandsOf(call: Exclude<Call, { kind: 'malformed' }>): readonly Command[] {
  if (call.kind !== 'stream') return call.commands
  return [call.listening.kind === 'monitor' ? ['monitor'] : [call.listening.kind, ...call.listening.names]]
}

const noPermission = (verb: string): string =>
  `NOPERM this user has no permissions to run the '${verb}' command`

/** What a request wants its answer to look like, or why it cannot be had. */
function readFormat({ headers }: IncomingMessage): Format | string {
  const isBase64 = headers['upstash-encoding'] === 'base64'
  const format = headers['upstash-response-format'] ?? 'json'
  if (format !== 'json' && format !== 'resp2') return `ERR unknown response format ${JSON.stringify(format)}`
  if (format === 'resp2' && isBase64) return 'ERR base64 encoding is not available with the resp2 format'
  return { isBase64, isResp: format === 'resp2' }
}

function splitUrl(url: string): { path: string; query: [string, string][] } {
  const at = url.indexOf('?')
  if (at === -1) return { path: url, query: [] }
  return { path: url.slice(0, at), query: [...new URLSearchParams(url.slice(at + 1))] }
}

/**
 * A request's body; undefined when it is larger than Upstash takes. It is read to its end even then: a client that is
 * cut off while it writes does not read the answer.
 */
function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > mostBytes) chunks = []
      else chunks.push(chunk)
    })
    request.on('end', () => {
      if (bytes > mostBytes) resolve(undefined)
      else resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    })
    request.on('error', reject)
  })
}
