import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import RedisMock from 'ioredis-mock'

/** The commands that we call on ioredis by their names. */
type Engine = Record<string, (...args: unknown[]) => Promise<unknown>> & {
  on(event: string, listener: (...args: string[]) => void): void
  disconnect(): void
}

export type LocalRedis = { url: string; token: string; stats: { requests: number; commands: number }; stop(): Promise<void> }

const mostBytes = 10 * 1024 * 1024
/** What Upstash does not have over REST. */
const refused = new Set(['watch', 'select', 'blpop', 'brpop', 'blmove', 'bzpopmin', 'bzpopmax', 'quit', 'auth'])

/** Upstash's REST protocol in front of an in-memory Redis, for the unmodified Upstash clients. */
export async function startRedis(options: { dir?: string; port?: number; token: string }): Promise<LocalRedis> {
  if (process.env.NODE_ENV === 'production') throw new Error('The local Redis is for development: it does not start in production')
  const name = randomUUID()
  const connect = (): Engine => new RedisMock({ keyPrefix: '', db: 0, host: name } as never) as unknown as Engine
  const engine = connect()
  const stats = { requests: 0, commands: 0 }
  const scripts = new Map<string, string>()

  async function run(command: unknown): Promise<{ result: unknown } | { error: string }> {
    if (!Array.isArray(command) || command.length === 0) return { error: 'ERR a command is a list of its words' }
    stats.commands++
    const [word, ...args] = command.map(String) as [string, ...string[]]
    const verb = word.toLowerCase()
    try {
      if (refused.has(verb)) return { error: `ERR Command is not available: '${word}'` }
      if (verb === 'eval') return { result: plain(await evaluate(args)) }
      if (verb === 'evalsha') {
        const script = scripts.get(String(args[0]))
        if (script === undefined) return { error: 'NOSCRIPT No matching script. Please use EVAL.' }
        return { result: plain(await evaluate([script, ...args.slice(1)])) }
      }
      if (verb === 'script' && args[0]?.toLowerCase() === 'load') return { result: remember(args[1] ?? '') }
      const method = engine[verb]
      if (typeof method !== 'function') return { error: `ERR unknown command '${word}'` }
      return { result: plain(await method.apply(engine, verb === 'set' ? inUpperCase(args) : args)) }
    } catch (error) {
      return { error: error instanceof Error ? error.message : 'ERR' }
    }
  }

  /** The line that says with which flags Upstash runs a script is none of Lua. */
  function remember(script: string): string {
    const sha = createHash('sha1').update(script).digest('hex')
    scripts.set(sha, script)
    return sha
  }

  function evaluate([script = '', ...rest]: string[]): Promise<unknown> {
    remember(script)
    const evalCommand = engine['eval']
    if (!evalCommand) throw new Error('ERR no scripting')
    return evalCommand.call(engine, script.replace(/^#!lua[^\n]*\n/, '\n'), ...rest)
  }

  const server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    stats.requests++
    answer(request, response).catch(() => response.destroy())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://local')
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? url.searchParams.get('_token')
    const send = (status: number, body: unknown) => {
      const text = JSON.stringify(body)
      response.writeHead(status, { 'Content-Type': 'application/json', 'upstash-sync-token': randomUUID() }).end(text)
    }
    if (token !== options.token) return send(401, { error: 'WRONGPASS invalid or missing auth token' })
    const body = await readBody(request)
    if (body === undefined) return send(413, { error: 'ERR max request size exceeded' })
    const [first = '', ...segments] = url.pathname.slice(1).split('/').map(decodeURIComponent)
    if (first === 'subscribe') return subscribe(segments, response)
    const encode = request.headers['upstash-encoding'] === 'base64' ? inBase64 : (value: unknown) => value
    const wrap = (outcome: { result: unknown } | { error: string }) => ('error' in outcome ? outcome : { result: encode(outcome.result) })
    if (first === 'pipeline' || first === 'multi-exec') {
      const commands = jsonOf(body)
      if (!Array.isArray(commands)) return send(400, { error: 'ERR a list of commands was expected' })
      const results = []
      for (const command of commands) results.push(wrap(await run(command)))
      return send(200, results)
    }
    url.searchParams.delete('_token')
    const query = [...url.searchParams].flatMap(([key, value]) => (value === '' ? [key] : [key, value]))
    const command = first === '' ? jsonOf(body) : [first, ...segments, ...(body === '' ? [] : [body]), ...query]
    const outcome = await run(command)
    send('error' in outcome ? 400 : 200, wrap(outcome))
  }

  /** Each message as an event: `message,channel,text`. */
  async function subscribe(channels: string[], response: ServerResponse): Promise<void> {
    const subscriber = connect()
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    subscriber.on('message', (channel, text) => response.write(`data: message,${channel},${text}\n\n`))
    response.on('close', () => subscriber.disconnect())
    await subscriber['subscribe']?.(...channels)
    for (const [i, channel] of channels.entries()) response.write(`data: subscribe,${channel},${i + 1}\n\n`)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    token: options.token,
    stats,
    stop: () =>
      new Promise((resolve) => {
        engine.disconnect()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** SET's options after key and value: Redis reads them in any case, the mock in upper case only. */
const inUpperCase = ([key, value, ...setOptions]: string[]): unknown[] => [key, value, ...setOptions.map((word) => word.toUpperCase())]

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > mostBytes) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Redis has no booleans: Lua's false is nil, true is 1. */
function plain(value: unknown): unknown {
  if (value === false || value === undefined) return null
  if (value === true) return 1
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  return Array.isArray(value) ? value.map(plain) : value
}

function inBase64(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inBase64)
  return typeof value === 'string' && value !== 'OK' ? Buffer.from(value).toString('base64') : value
}
