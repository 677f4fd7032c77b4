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
 * ARGV: limit, weight and time to live of each. Answers: 0 or the number of the bucket that refused, the use of each
 * bucket, what was read.
 */
export const countScript = `local n = #ARGV / 3
local out = {0}
for i = 1, n do
  local now = tonumber(redis.call('GET', KEYS[2 * i - 1]) or '0')
  local before = tonumber(redis.call('GET', KEYS[2 * i]) or '0')
  local used = now + math.floor(before * tonumber(ARGV[3 * i - 1]) / 1000)
  if used >= tonumber(ARGV[3 * i - 2]) then out[1] = i end
  out[i + 1] = used
end
if out[1] == 0 then
  for i = 1, n do
    if redis.call('INCR', KEYS[2 * i - 1]) == 1 then redis.call('PEXPIRE', KEYS[2 * i - 1], ARGV[3 * i]) end
    out[i + 1] = out[i + 1] + 1
  end
end
if #KEYS > 2 * n then out[n + 2] = redis.call('GET', KEYS[2 * n + 1]) end
return out`

/** SHA-1 of the script, so that a request need not work it out; a test compares. */
export const countScriptSha = '4a7daabb919d48abaed05063cb4dbd3b47d707bb'

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
  const [refused = 0, ...rest] = await run(cache, keys, args)
  const at = Math.max(Number(refused) - 1, 0)
  const { policy, owner } = buckets[at] ?? buckets[0]
  const read = rest[buckets.length]
  return {
    allowed: refused === 0,
    standing: {
      policy,
      remaining: Math.max(policy.limit - Number(rest[at]), 0),
      resetMs: policy.windowMs - windowOf(policy, owner, now).elapsedMs,
    },
    read: typeof read === 'string' ? read : null,
  }
}

async function run(cache: Cache, keys: string[], args: number[]): Promise<(number | string | null)[]> {
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
  const shifted = now.getTime() + (hash >>> 0) % policy.windowMs
  const elapsedMs = shifted % policy.windowMs
  return { index: (shifted - elapsedMs) / policy.windowMs, elapsedMs }
}
