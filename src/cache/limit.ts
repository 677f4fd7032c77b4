import type { Policy } from '#src/domain/limit.ts'
import type { Cache } from './redis.ts'

/** A policy and whose requests it counts: `tenant:…` or `public:…`, already free of anything personal. */
export type Bucket = { readonly policy: Policy; readonly owner: string }

export type Standing = { readonly policy: Policy; readonly remaining: number; readonly resetMs: number }

export type Count = {
  readonly allowed: boolean
  /** How the first bucket stands, or the one that refused. */
  readonly standing: Standing
  /** What `readKey` holds. */
  readonly read: string | null
}

/**
 * A sliding window from two fixed ones: what the window before still weighs (in thousandths) plus what this one counted.
 * A refused request counts nowhere. KEYS: current and previous window of each bucket, then perhaps a key to read.
 * ARGV: limit, weight and time to live of each. Answers: 0 or the number of the bucket that refused, the use of that
 * bucket (or of the first), what was read.
 */
export const countScript = `local n = #ARGV / 3
local refused = 0
local used = 0
for i = 1, n do
  local now = tonumber(redis.call('GET', KEYS[2 * i - 1]) or '0')
  local before = tonumber(redis.call('GET', KEYS[2 * i]) or '0')
  local both = now + math.floor(before * tonumber(ARGV[3 * i - 1]) / 1000)
  if both >= tonumber(ARGV[3 * i - 2]) and refused == 0 then refused = i end
  if i == 1 or refused == i then used = both end
end
if refused == 0 then
  for i = 1, n do
    if redis.call('INCR', KEYS[2 * i - 1]) == 1 then redis.call('PEXPIRE', KEYS[2 * i - 1], ARGV[3 * i]) end
  end
  used = used + 1
end
local read = false
if #KEYS > 2 * n then read = redis.call('GET', KEYS[2 * n + 1]) end
return {refused, used, read}`

/** SHA-1 of the script, so that a request need not work it out; a test compares. */
export const countScriptSha = '0d70111ec9904627e7281d608f0d8ddbf5be347f'

/** Counts one request in every bucket and reads one key, all in one REST call. Throws when Redis does not answer. */
export async function count(
  cache: Cache,
  buckets: readonly [Bucket, ...Bucket[]],
  now: Date,
  readKey?: string,
): Promise<Count> {
  const keys: string[] = []
  const args: number[] = []
  for (const { policy, owner } of buckets) {
    const { index, elapsedMs } = windowOf(policy, owner, now)
    const name = `${owner}:limit:${policy.name}`
    keys.push(`${name}:${index}`, `${name}:${index - 1}`)
    args.push(policy.limit, Math.floor(1000 - (1000 * elapsedMs) / policy.windowMs), 2 * policy.windowMs)
  }
  if (readKey !== undefined) keys.push(readKey)
  const [refused, used, read] = await run(cache, keys, args)
  const { policy, owner } = buckets[Number(refused) - 1] ?? buckets[0]
  return {
    allowed: Number(refused) === 0,
    standing: {
      policy,
      remaining: Math.max(policy.limit - Number(used), 0),
      resetMs: policy.windowMs - windowOf(policy, owner, now).elapsedMs,
    },
    read: typeof read === 'string' ? read : null,
  }
}

async function run(cache: Cache, keys: string[], args: number[]): Promise<unknown[]> {
  try {
    return await cache.evalsha(countScriptSha, keys, args)
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error
    return cache.eval(countScript, keys, args)
  }
}

/** Each owner's windows begin at another moment, so that clients do not all come back at once. */
function windowOf(policy: Policy, owner: string, now: Date): { index: number; elapsedMs: number } {
  let hash = 0
  for (let i = 0; i < owner.length; i++) hash = (hash * 31 + owner.charCodeAt(i)) | 0
  const shifted = now.getTime() + ((hash >>> 0) % policy.windowMs)
  const elapsedMs = shifted % policy.windowMs
  return { index: (shifted - elapsedMs) / policy.windowMs, elapsedMs }
}
