import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { EngineKind } from './redis/engine.ts'
import { RedisFaults } from './redis/faults.ts'
import { startMock } from './redis/mock/engine.ts'
import { findRedisServer, startRedisServer } from './redis/redis-server.ts'
import { RestApi, type RedisStats } from './redis/rest.ts'
import { Scripts } from './redis/scripts.ts'
import { Streams } from './redis/streams.ts'

export type { EngineKind } from './redis/engine.ts'
export { findRedisServer } from './redis/redis-server.ts'

export type LocalRedis = {
  url: string
  token: string
  engine: EngineKind
  stats: RedisStats
  faults: RedisFaults
  stop(): Promise<void>
}

/**
 * Upstash's REST protocol in front of a Redis, for the unmodified Upstash clients: `redis-server` where it is installed,
 * else one in memory. With `dir`, `redis-server` keeps what it holds there; the one in memory always forgets.
 */
export async function startRedis(options: {
  dir?: string
  port?: number
  token: string
  /** May read, but neither write nor list keys. */
  readOnlyToken?: string
  engine?: EngineKind
}): Promise<LocalRedis> {
  if (process.env['NODE_ENV'] === 'production') {
    throw new Error('The local Redis is for development: it does not start in production')
  }
  const engine = await openEngine(options.engine, options.dir)
  const stats: RedisStats = { requests: 0, commands: 0, failures: 0, streams: 0 }
  const streams = new Streams(engine, stats)
  const faults = new RedisFaults(
    async () => void (await engine.run([['SCRIPT', 'FLUSH']])),
    () => streams.cut(),
  )
  const { token, readOnlyToken } = options
  const api = new RestApi({ engine, scripts: new Scripts(), streams, stats, faults, token, readOnlyToken })
  const server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
    response.sendDate = false
    api.answer(request, response).catch((error: unknown) => api.breakDown(response, error))
  })
  const port = await listen(server, options.port ?? 0).catch(async (cause: unknown) => {
    await engine.stop()
    throw cause
  })
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    engine: engine.kind,
    stats,
    faults,
    async stop() {
      streams.cut()
      const closed = new Promise((done) => server.close(done))
      server.closeAllConnections()
      await closed
      await engine.stop()
    },
  }
}

async function openEngine(wanted: EngineKind | undefined, dir: string | undefined) {
  const program = wanted === 'mock' ? undefined : findRedisServer()
  if (program !== undefined) return startRedisServer(program, dir)
  if (wanted === 'redis-server')
    throw new Error('redis-server is not installed: nothing of that name is on the PATH')
  return startMock()
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      fail(
        cause.code === 'EADDRINUSE'
          ? new Error(`Port ${port} is already in use: choose another for the local Redis`, { cause })
          : cause,
      ),
    )
    server.listen(port, '127.0.0.1', done)
  })
  return (server.address() as AddressInfo).port
}
