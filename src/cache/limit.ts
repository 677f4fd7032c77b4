import type { TenantId } from '#src/domain/id.ts'
import type { Policy } from '#src/domain/limit.ts'
import type { Cache } from './redis.ts'
import { requestsKeptMs, requestsKey } from './requests.ts'

/** A policy and whose requests it counts: `tenant:…` or `public:…`, already free of anything personal. */
export type Bucket = { readonly policy: Policy; readonly owner: string }

export type Standing = { readonly policy: Policy; readonly remaining: number; readonly resetMs: number }

/** Whose request it is, as far as that is known before Redis is asked. */
export type Caller =
  | {
      readonly tenantId: TenantId
      readonly endedKey: string
      readonly memberKey: string
      readonly recordKey: string
    }
  /** The cached key says whose it is. */
  | { readonly apiKeyKey: string }

/** What is cached of the caller, as text. */
export type Known = {
  /** That the session has ended, or the API key. */
  readonly credential: string | null
  readonly member: string | null
  readonly record: string | null
}

export type Count = {
  readonly allowed: boolean
  /** How the first bucket stands, or the one that refused. */
  readonly standing: Standing
  readonly known: Known
}

/**
 * A sliding window from two fixed ones: what the window before still weighs (in thousandths) plus what this one counted.
 * A refused request counts nowhere. KEYS: current and previous window of each bucket, then with a caller the hash of
 * requests, what tells of the credential, and for a user their membership and the tenant's record; an API key's value
 * begins with the tenant and the owner, which name the other two. ARGV: how many buckets; which of the record's two limits
 * holds for the first one (0 for none); the tenant when it is known; how long the hash is kept; then limit, weight and time
 * to live of each; then of the tenant's bucket, the last one, for which the record's third limit holds: limit (0 for none),
 * both windows' numbers, weight and time to live. Answers: 0 or the number of the bucket that refused, the use of that bucket
 * (or of the first), the limit of the tenant's when it refused or of the first, what was read.
 */
export const countScript = `local n = tonumber(ARGV[1])
local which = tonumber(ARGV[2])
local tenant = ARGV[3]
local first = tonumber(ARGV[5])
local t = 4 + 3 * n
local most = tonumber(ARGV[t + 1])
local credential, member, record = false, false, false
if which > 0 then
  credential = redis.call('GET', KEYS[2 * n + 2])
  if which == 1 then
    member = redis.call('GET', KEYS[2 * n + 3])
    record = redis.call('GET', KEYS[2 * n + 4])
  elseif credential then
    local owner
    tenant, owner = string.match(credential, '^(ten_%w+) key_%w+ (%w+_%w+) ')
    if tenant then
      member = redis.call('GET', tenant .. ':member:' .. owner)
      record = redis.call('GET', tenant .. ':record')
    end
  end
  if record then
    local user, key, whole = string.match(record, '^(%d+) (%d+) (%d+) ')
    local own = tonumber(which == 1 and user or key) or 0
    if own > 0 then first = own end
    whole = tonumber(whole) or 0
    if whole > 0 then most = whole end
  end
end
local refused = 0
local used = 0
for i = 1, n do
  local now = tonumber(redis.call('GET', KEYS[2 * i - 1]) or '0')
  local before = tonumber(redis.call('GET', KEYS[2 * i]) or '0')
  local both = now + math.floor(before * tonumber(ARGV[3 * i + 3]) / 1000)
  local limit = tonumber(ARGV[3 * i + 2])
  if i == 1 then limit = first end
  if both >= limit and refused == 0 then refused = i end
  if i == 1 or refused == i then used = both end
end
local known = which > 0 and tenant and tenant ~= '' and not (which == 1 and credential)
local whole = known and most > 0 and tenant .. ':limit:tenant:'
if whole and refused == 0 then
  local now = tonumber(redis.call('GET', whole .. ARGV[t + 2]) or '0')
  local before = tonumber(redis.call('GET', whole .. ARGV[t + 3]) or '0')
  local both = now + math.floor(before * tonumber(ARGV[t + 4]) / 1000)
  if both >= most then refused, used, first = n + 1, both, most end
end
if refused == 0 then
  for i = 1, n do
    if redis.call('INCR', KEYS[2 * i - 1]) == 1 then redis.call('PEXPIRE', KEYS[2 * i - 1], ARGV[3 * i + 4]) end
  end
  used = used + 1
  if whole and redis.call('INCR', whole .. ARGV[t + 2]) == 1 then redis.call('PEXPIRE', whole .. ARGV[t + 2], ARGV[t + 5]) end
  if known then
    if redis.call('HINCRBY', KEYS[2 * n + 1], tenant, 1) == 1 then redis.call('PEXPIRE', KEYS[2 * n + 1], ARGV[4]) end
  end
end
return {refused, used, first, credential, member, record}`

/** SHA-1 of the script, so that a request need not work it out; a test compares. */
export const countScriptSha = 'bdd9ce4653a0ea52b711eedb2de1ee713b999552'

/** Counts one request in every bucket and reads what is cached of the caller, all in one REST call. Throws when Redis does not answer. */
export async function count(
  cache: Cache,
  buckets: readonly [Bucket, ...Bucket[]],
  now: Date,
  caller?: Caller,
  ofTenant?: Policy,
): Promise<Count> {
  const keys: string[] = []
  const args: (number | string)[] = [
    buckets.length,
    caller === undefined ? 0 : 'apiKeyKey' in caller ? 2 : 1,
    caller !== undefined && 'tenantId' in caller ? caller.tenantId : '',
    requestsKeptMs,
  ]
  for (const { policy, owner } of buckets) {
    const { index, elapsedMs } = windowOf(policy, owner, now)
    const name = `${owner}:limit:${policy.name}`
    keys.push(`${name}:${index}`, `${name}:${index - 1}`)
    args.push(policy.limit, Math.floor(1000 - (1000 * elapsedMs) / policy.windowMs), 2 * policy.windowMs)
  }
  args.push(...tenantArgs(ofTenant, now))
  if (caller) keys.push(requestsKey(now))
  if (caller && 'apiKeyKey' in caller) keys.push(caller.apiKeyKey)
  else if (caller) keys.push(caller.endedKey, caller.memberKey, caller.recordKey)
  const [refused, used, first, credential, member, record] = await run(cache, keys, args)
  const position = Math.max(Number(refused) - 1, 0)
  const byTenant = ofTenant !== undefined && position === buckets.length
  const { policy, owner } = byTenant ? { policy: ofTenant, owner: '' } : (buckets[position] ?? buckets[0])
  const counted = position === 0 || byTenant ? withLimit(policy, Number(first)) : policy
  return {
    allowed: Number(refused) === 0,
    standing: {
      policy: counted,
      remaining: Math.max(counted.limit - Number(used), 0),
      resetMs: policy.windowMs - windowOf(policy, owner, now).elapsedMs,
    },
    known: { credential: textOf(credential), member: textOf(member), record: textOf(record) },
  }
}

function tenantArgs(policy: Policy | undefined, now: Date): (number | string)[] {
  if (!policy) return [0, 0, 0, 0, 0]
  // Every isolate must come to the same windows before the tenant is known, so nothing of it shifts them.
  const { index, elapsedMs } = windowOf(policy, '', now)
  const weight = Math.floor(1000 - (1000 * elapsedMs) / policy.windowMs)
  return [policy.limit, index, index - 1, weight, 2 * policy.windowMs]
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

const others = new Map<string, Policy>()
const keptOthers = 1_000

/** The policy with the tenant's own limit: the same object for the same limit, for headers are kept by it. */
function withLimit(policy: Policy, limit: number): Policy {
  if (policy.limit === limit) return policy
  const name = `${policy.name} ${policy.windowMs} ${limit}`
  let other = others.get(name)
  if (other === undefined) {
    if (others.size >= keptOthers) others.clear()
    others.set(name, (other = { ...policy, limit }))
  }
  return other
}

async function run(cache: Cache, keys: string[], args: (number | string)[]): Promise<unknown[]> {
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
