import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connectMock, connectServer, type Engine } from './redis/engine.ts'
import { inBase64, jsonOf, readBody, respOf } from './redis/wire.ts'
import { runCommand, type Outcome } from './redis/command.ts'

export type LocalRedis = {
  url: string
  token: string
  engine: 'redis-server' | 'mock'
  stats: { requests: number; commands: number }
  faults: RedisFaults
  stop(): Promise<void>
}

/** What goes wrong from now on, until it is set back. */
export type RedisFaults = { unauthorized: boolean; delayMs: number; drop: boolean; forgetScripts(): void }

/**
 * Upstash's REST protocol in front of a Redis, for the unmodified Upstash clients: `redis-server` where it is installed,
 * else one in memory.
 */
export async function startRedis(options: {
  dir?: string
  port?: number
  token: string
  engine?: 'redis-server' | 'mock'
}): Promise<LocalRedis> {
  if (process.env.NODE_ENV === 'production') {
    throw new Error('The local Redis is for development: it does not start in production')
  }
  const engine = options.engine === 'mock' ? connectMock() : await connectServer(options.engine === 'redis-server')
  const stats = { requests: 0, commands: 0 }
  const faults: RedisFaults = { unauthorized: false, delayMs: 0, drop: false, forgetScripts: () => engine.scripts.clear() }
  const server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    stats.requests++
    if (faults.drop) return response.destroy()
    const reply = () => void answer({ engine, stats, faults, token: options.token }, request, response).catch(() => response.destroy())
    if (faults.delayMs > 0) setTimeout(reply, faults.delayMs)
    else reply()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    token: options.token,
    engine: engine.kind,
    stats,
    faults,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await engine.stop()
    },
  }
}

type Context = { engine: Engine; stats: LocalRedis['stats']; faults: RedisFaults; token: string }

async function answer({ engine, stats, faults, token }: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://local')
  const shown = request.headers.authorization?.replace(/^Bearer /, '') ?? url.searchParams.get('_token')
  const send = (status: number, body: unknown) =>
    response
      .writeHead(status, { 'Content-Type': 'application/json', 'upstash-sync-token': randomUUID() })
      .end(JSON.stringify(body))
  if (faults.unauthorized || shown !== token) return void send(401, { error: 'WRONGPASS invalid or missing auth token' })
  const method = request.method ?? 'GET'
  if (!['GET', 'HEAD', 'POST', 'PUT'].includes(method)) return void send(405, { error: 'ERR method not allowed' })
  const body = await readBody(request)
  if (body === undefined) return void send(413, { error: 'ERR max request size exceeded' })
  const [first = '', ...segments] = url.pathname.slice(1).split('/').map(decodeURIComponent)
  if (first === 'subscribe' || first === 'psubscribe') return subscribe(engine, first, segments, response)

  const encode = request.headers['upstash-encoding'] === 'base64' ? inBase64 : (value: unknown) => value
  const wrap = (outcome: Outcome) => ('error' in outcome ? outcome : { result: encode(outcome.result) })
  if (first === 'pipeline' || first === 'multi-exec') {
    const commands = jsonOf(body)
    if (!Array.isArray(commands)) return void send(400, { error: 'ERR a list of commands was expected' })
    stats.commands += commands.length
    const outcomes = await (first === 'pipeline' ? inOrder(engine, commands) : engine.alone(() => inOrder(engine, commands)))
    return void send(200, outcomes.map(wrap))
  }
  url.searchParams.delete('_token')
  const query = [...url.searchParams].flatMap(([key, value]) => (value === '' ? [key] : [key, value]))
  stats.commands++
  const outcome = await runCommand(engine, first === '' ? jsonOf(body) : [first, ...segments, ...(body === '' ? [] : [body]), ...query])
  const status = 'error' in outcome ? 400 : 200
  if (request.headers['upstash-response-format'] === 'resp2') {
    response.writeHead(status, { 'Content-Type': 'application/octet-stream' }).end(respOf(outcome))
    return
  }
  send(status, wrap(outcome))
}

async function inOrder(engine: Engine, commands: readonly unknown[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const command of commands) outcomes.push(await runCommand(engine, command))
  return outcomes
}

/** Each message as an event: `message,channel,text`, or with the pattern before the channel. */
async function subscribe(engine: Engine, how: 'subscribe' | 'psubscribe', names: string[], response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  const leave = await engine.subscribe(how, names, (line) => response.write(`data: ${line}\n\n`))
  response.on('close', leave)
  for (const [i, name] of names.entries()) response.write(`data: ${how},${name},${i + 1}\n\n`)
}
