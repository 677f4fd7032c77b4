import { Redis } from '@upstash/redis/cloudflare'

export type Cache = Redis

const patienceMs = 1_000

/**
 * The one client of an isolate. Redis is never the truth, so it gets one more try and one second, and whoever asks
 * decides what to do without it.
 */
export function connectRedis(options: { url: string; token: string }): Cache {
  return new Redis({
    url: options.url,
    token: options.token,
    automaticDeserialization: false,
    responseEncoding: false,
    enableAutoPipelining: false,
    enableTelemetry: false,
    readYourWrites: false,
    retry: { retries: 1, backoff: () => 20 },
    signal: () => AbortSignal.timeout(patienceMs),
  })
}
