import { Redis } from '@upstash/redis'
import { afterAll, beforeAll } from 'vitest'

import { findRedisServer, startRedis, type EngineKind, type LocalRedis } from '#local/redis.ts'

/** The one in memory always; `redis-server` too where it is installed. */
export const engines: readonly EngineKind[] =
  findRedisServer() === undefined ? ['mock'] : ['mock', 'redis-server']

export const token = 'a-token-for-tests'
export const readOnlyToken = 'a-token-that-may-only-read'

/** A Redis of the test's own for all tests of a suite, with the official client and plain HTTP. */
export function useRedis(engine: EngineKind) {
  let server: LocalRedis | undefined
  let client: Redis | undefined
  beforeAll(async () => {
    server = await startRedis({ token, readOnlyToken, engine })
    client = new Redis({ url: server.url, token })
  })
  afterAll(async () => {
    await server?.stop()
  })
  const started = (): LocalRedis => {
    if (server === undefined) throw new Error('Redis is not started')
    return server
  }
  return {
    get server() {
      return started()
    },
    get redis() {
      if (client === undefined) throw new Error('Redis is not started')
      return client
    },
    /** A name that no other test uses. */
    name: () => `k:${crypto.randomUUID()}`,
    ask: (path: string, init: RequestInit = {}) => ask(started().url, path, init),
  }
}

/** Plain HTTP with the token; the answer's status, JSON and sync token. */
export async function ask(url: string, path: string, init: RequestInit = {}) {
  const headers = {
    Authorization: `Bearer ${token}`,
    ...(init.headers as Record<string, string> | undefined),
  }
  const response = await fetch(`${url}${path}`, { ...init, headers })
  const text = await response.text()
  const type = response.headers.get('Content-Type')
  return {
    status: response.status,
    type,
    syncToken: response.headers.get('Upstash-Sync-Token'),
    text,
    json: type === 'application/json' && text !== '' ? (JSON.parse(text) as unknown) : undefined,
  }
}

export const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers,
})
