import type { Cache } from './redis.ts'

/** How an account slows down whoever tries it from devices that it does not know. */
export type SignInDelay = { readonly free: number; readonly firstMs: number; readonly mostMs: number }

const keptMs = 24 * 60 * 60 * 1000

/**
 * Counts an attempt before it is made, or says how long to wait for the next one: none at first, then twice as long after
 * each. While there is no wait no moment is kept: an isolate whose clock is behind, or whose request was overtaken, would
 * wait for it. KEYS: the account's. ARGV: now, free attempts, first and longest delay, how long it is remembered.
 */
const attemptScript = `local kept = redis.call('GET', KEYS[1]) or '0:0'
local n, free_at = string.match(kept, '^(%d+):(%d+)$')
n = tonumber(n) + 1
free_at = tonumber(free_at)
local now = tonumber(ARGV[1])
if now < free_at then return free_at - now end
local over = n - tonumber(ARGV[2])
free_at = 0
if over > 0 then free_at = now + math.min(tonumber(ARGV[3]) * 2 ^ math.min(over - 1, 30), tonumber(ARGV[4])) end
redis.call('SET', KEYS[1], string.format('%d:%d', n, free_at), 'PX', ARGV[5])
return 0`

const keyOf = (account: string): string => `${account}:sign-in-delay`

/** 0 when the attempt may be made; it is counted then. Of many at once each is counted by itself. */
export async function countAttempt(
  cache: Cache,
  account: string,
  { free, firstMs, mostMs }: SignInDelay,
  now: Date,
): Promise<number> {
  const waitMs = await cache.eval(
    attemptScript,
    [keyOf(account)],
    [now.getTime(), free, firstMs, mostMs, keptMs],
  )
  return Number(waitMs)
}

/** After somebody has signed in. */
export const forgetAttempts = (cache: Cache, account: string): Promise<unknown> => cache.del(keyOf(account))
