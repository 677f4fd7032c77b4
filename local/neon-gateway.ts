import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { WebSocketServer } from 'ws'

import type { Server } from './neon/connection.ts'
import { errorFields, Failure } from './neon/failure.ts'
import { Faults, type Fault } from './neon/faults.ts'
import { cancel, Pools, type Errand } from './neon/pool.ts'
import { relay } from './neon/relay.ts'
import { readBatch, readBatchOptions, readBody, readLogin } from './neon/sql-request.ts'

export type GatewayStats = { requests: number; statements: number; failures: number; sessions: number }

export type NeonGateway = {
  /** Address and port, as they stand in the driver's `fetchEndpoint` and `wsProxy`. */
  host: string
  port: number
  stats: GatewayStats
  faults: Faults
  stop(): Promise<void>
}

/**
 * Speaks Neon's HTTP and WebSocket protocols in front of a local PostgreSQL, for the unmodified Neon driver. Whatever
 * host a connection string names, the one server answers. It is no proxy for production: anyone who reaches it can
 * try passwords, so it listens on the loopback address only.
 */
export async function startNeonGateway(options: { postgres: Server; port?: number }): Promise<NeonGateway> {
  if (process.env.NODE_ENV === 'production')
    throw new Error('The Neon gateway is for development: it does not start in production')
  const server: Server = { host: options.postgres.host, port: options.postgres.port }
  const stats: GatewayStats = { requests: 0, statements: 0, failures: 0, sessions: 0 }
  const pools = new Pools(server)
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 256 * 1024 * 1024,
  })
  const faults = new Faults(() => {
    const sessions = [...webSockets.clients].filter((each) => each.readyState === each.OPEN)
    for (const each of sessions) each.terminate()
    return sessions.length
  })
  const context = { stats, pools, faults }

  const http = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    route(context, request, response).catch((error: unknown) => sendFailure(stats, response, error))
  })
  http.on('upgrade', (request, socket, head) => {
    // Without a listener, a client that leaves before the handshake would end this process.
    socket.on('error', () => socket.destroy())
    const struck = faults.strike([])
    if (struck.some(({ kind }) => kind === 'refuse' || kind === 'serverError')) return socket.destroy()
    void delay(struck).then(() =>
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        stats.sessions++
        relay(webSocket, server)
      }),
    )
  })
  const port = await listen(http, options.port ?? 0)

  return {
    host: `127.0.0.1:${port}`,
    port,
    stats,
    faults,
    async stop() {
      faults.cutSessions()
      pools.end()
      const closed = new Promise((done) => http.close(done))
      http.closeAllConnections()
      await closed
    },
  }
}

type Context = { stats: GatewayStats; pools: Pools; faults: Faults }

const corsHeaders = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers':
    'Authorization, Neon-Connection-String, Neon-Raw-Text-Output, Neon-Array-Mode, Neon-Pool-Opt-In, Neon-Batch-Read-Only, Neon-Batch-Isolation-Level, Neon-Batch-Deferrable',
  'Access-Control-Max-Age': '86400',
  Allow: 'OPTIONS, POST',
}

async function route(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?')[0]
  if (path !== '/sql') throw new Failure(404, { message: 'page not found' })
  if (request.method === 'OPTIONS') {
    response.writeHead(200, { ...corsHeaders, 'neon-request-id': randomUUID() }).end()
    return
  }
  if (request.method !== 'POST') throw new Failure(405, { message: 'method is not supported' })
  context.stats.requests++
  const login = readLogin(request.headers)
  const { begin, echo } = readBatchOptions(request.headers)
  const batch = readBatch(await readBody(request), request.headers, begin)
  context.stats.statements += batch.statements.length
  const struck = context.faults.strike(batch.statements.map(({ sql }) => sql))
  await delay(struck)
  if (struck.some(({ kind }) => kind === 'refuse')) return void request.socket.destroy()
  if (failStruck(struck, response)) return

  const errand: Errand = { batch, isCancelled: false }
  response.on('close', () => {
    if (!response.writableEnded) cancel(errand)
  })
  const json = await context.pools.run(login, errand)
  if (struck.some(({ kind }) => kind === 'dropReply')) return void request.socket.destroy()
  send(response, 200, json, batch.begin === undefined ? {} : echo)
}

async function delay(faults: Fault[]): Promise<void> {
  for (const fault of faults) if (fault.kind === 'latency') await sleep(fault.ms)
}

function failStruck(faults: Fault[], response: ServerResponse): boolean {
  for (const fault of faults) {
    if (fault.kind === 'serverError') {
      response.writeHead(500, { 'Content-Type': 'text/plain' }).end(fault.text ?? 'Internal Server Error')
      return true
    }
    if (fault.kind === 'sqlstate') {
      const { code, message = `injected fault ${fault.code}` } = fault
      throw new Failure(400, { message, code, severity: 'ERROR' })
    }
  }
  return false
}

function sendFailure(stats: GatewayStats, response: ServerResponse, error: unknown): void {
  stats.failures++
  const status = error instanceof Failure ? error.status : 500
  const fields = error instanceof Failure ? error.fields : errorFields({ message: 'internal error' })
  if (status === 413) response.setHeader('Connection', 'close')
  send(response, status, Buffer.from(JSON.stringify(fields)), {})
}

function send(response: ServerResponse, status: number, json: Buffer, headers: Record<string, string>): void {
  if (response.destroyed) return
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': json.length,
    'Access-Control-Allow-Origin': '*',
    'neon-request-id': randomUUID(),
    ...headers,
  })
  response.end(json)
}

async function listen(http: ReturnType<typeof createServer>, port: number): Promise<number> {
  await new Promise<void>((done, fail) => {
    http.once('error', (cause: NodeJS.ErrnoException) =>
      fail(
        cause.code === 'EADDRINUSE'
          ? new Error(`Port ${port} is already in use: choose another for the Neon gateway`, { cause })
          : cause,
      ),
    )
    http.listen(port, '127.0.0.1', done)
  })
  return (http.address() as AddressInfo).port
}
