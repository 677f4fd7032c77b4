import type { Context } from 'hono'
import { count, type Bucket, type Caller, type Count, type Standing } from '#src/cache/limit.ts'
import { sha256 } from '#src/domain/digest.ts'
import type { Policy } from '#src/domain/limit.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'
import { describeError } from './request-log.ts'

const unavailableMs = 5_000

/** Counts the request and says so in its headers; refuses it when it is one too many. */
export function enforce(c: Context<ApiEnv>, counted: Count): void {
  c.set('standing', counted.standing)
  if (counted.allowed) return
  throw new Problem('limited', 'Too many requests; wait a little.', {
    retryAfterMs: counted.standing.resetMs,
  })
}

/** Counts where a limit is part of the protection: without Redis there is no service. */
export async function countStrictly(c: Context<ApiEnv>, ...buckets: [Bucket, ...Bucket[]]): Promise<void> {
  const { services } = c.get('gate')
  let counted: Count
  try {
    counted = await count(services.cache, buckets, services.now())
  } catch (error) {
    throw new Problem('unavailable', 'A service that Weir needs does not answer; try again soon.', {
      retryAfterMs: unavailableMs,
      cause: error,
    })
  }
  enforce(c, counted)
}

/** Counts where Redis only helps; undefined, and a line in the log, when it does not answer. */
export async function countLeniently(
  c: Context<ApiEnv>,
  bucket: Bucket,
  caller?: Caller,
): Promise<Count | undefined> {
  const { services } = c.get('gate')
  try {
    return await count(services.cache, [bucket], services.now(), caller, services.limits.tenant)
  } catch (error) {
    services.log({ event: 'cache_unavailable', requestId: c.get('requestId'), ...describeError(error) })
    return undefined
  }
}

/** One client by its address: an IPv6 network of 64 bits is one client. Only a hash of it is kept. */
export async function addressBucket(c: Context<ApiEnv>, policy: Policy): Promise<Bucket> {
  const address = c.env?.address ?? 'unknown'
  const network = address.includes(':') ? networkOf(address) : address
  return { policy, owner: `public:address:${(await sha256(network)).slice(0, 32)}` }
}

/** One account by its e-mail address, whether it exists or not. */
export const accountBucket = async (policy: Policy, email: string): Promise<Bucket> => ({
  policy,
  owner: `public:account:${(await sha256(email.toLowerCase())).slice(0, 32)}`,
})

function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = address.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : Math.max(8 - before.length - after.length, 0)
  const groups = [...before, ...Array.from({ length: missing }, () => '0'), ...after]
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}

const policies = new WeakMap<Policy, string>()

/** The two fields of draft-ietf-httpapi-ratelimit-headers-10. */
export function limitHeaders({ policy, remaining, resetMs }: Standing): [policy: string, limit: string] {
  let field = policies.get(policy)
  if (field === undefined) {
    field = `"${policy.name}";q=${policy.limit};w=${policy.windowMs / 1000}`
    policies.set(policy, field)
  }
  return [field, `"${policy.name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`]
}
