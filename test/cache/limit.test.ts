import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiKeyCacheKey, cacheApiKey, parseCachedApiKey } from '#src/cache/api-keys.ts'
import { count, countScript, countScriptSha } from '#src/cache/limit.ts'
import { cacheMember, parseMember } from '#src/cache/members.ts'
import type { Cache } from '#src/cache/redis.ts'
import { requestsKey } from '#src/cache/requests.ts'
import {
  cacheTenantRecord,
  keepTenantRecord,
  parseTenantRecord,
  tenantRecordKey,
} from '#src/cache/tenant-record.ts'
import { newId } from '#src/domain/id.ts'
import type { TenantRecord } from '#src/domain/tenant-record.ts'
import { world, type World } from '#test/support/world.ts'

let real: World
let cache: Cache
beforeAll(async () => {
  real = await world()
  cache = real.services.cache
})
afterAll(() => real.close())

const policy = { name: 'test', limit: 10, windowMs: 60_000 }
const record: TenantRecord = {
  suspended: false,
  ipAllow: [],
  origins: [],
  limits: {},
  overQuota: [],
  requireSso: false,
  mfaRoles: [],
  roles: {},
}
const someone = () => `public:test:${crypto.randomUUID()}`

/** How many of `tries` are let in at that moment. */
async function allowedAt(owner: string, at: number, tries: number): Promise<number> {
  let allowed = 0
  for (let i = 0; i < tries; i++) {
    if ((await count(cache, [{ policy, owner }], new Date(at))).allowed) allowed++
  }
  return allowed
}

/** When a window of this owner begins, found from what is left of it. */
async function windowStart(owner: string): Promise<number> {
  const at = Date.parse('2026-11-21T12:00:00Z')
  const { standing } = await count(cache, [{ policy: { ...policy, name: 'probe' }, owner }], new Date(at))
  return at + standing.resetMs
}

describe('the sliding window', () => {
  it('is the script that its name says', () => {
    expect(createHash('sha1').update(countScript).digest('hex')).toBe(countScriptSha)
  })

  it('lets in what the policy says, and what was before still weighs', async () => {
    const owner = someone()
    const start = await windowStart(owner)
    expect(await allowedAt(owner, start, 12)).toBe(10)
    expect(await allowedAt(owner, start + 59_999, 1)).toBe(0)
    expect(await allowedAt(owner, start + 60_000, 2)).toBe(0)
    expect(await allowedAt(owner, start + 60_000 + 30_000, 10)).toBe(5)
    expect(await allowedAt(owner, start + 3 * 60_000, 12)).toBe(10)
  })

  it('never lets in more than the policy and a tenth in any minute', async () => {
    const owner = someone()
    const start = await windowStart(owner)
    const admitted: number[] = []
    for (let second = 0; second < 240; second++) {
      const at = start + second * 1000
      if ((await count(cache, [{ policy, owner }], new Date(at))).allowed) admitted.push(at)
    }
    const busiest = Math.max(
      ...admitted.map((from) => admitted.filter((at) => at >= from && at < from + 60_000).length),
    )
    expect(busiest).toBeLessThanOrEqual(11)
    expect(admitted.length).toBeGreaterThanOrEqual(30)
  })

  it('counts in no bucket what one of them refuses', async () => {
    const [narrow, wide] = [someone(), someone()]
    const buckets = [
      { policy, owner: wide },
      { policy: { ...policy, name: 'narrow', limit: 1 }, owner: narrow },
    ] as const
    const now = new Date()
    expect((await count(cache, buckets, now)).allowed).toBe(true)
    for (let i = 0; i < 5; i++) {
      const refused = await count(cache, buckets, now)
      expect(refused).toMatchObject({
        allowed: false,
        standing: { remaining: 0, policy: { name: 'narrow' } },
      })
    }
    expect((await count(cache, [{ policy, owner: wide }], now)).standing.remaining).toBe(8)
  })

  it('reads what is known of a user in the same call, whether it is there or not', async () => {
    const tenantId = newId('tenant')
    const owner = `${tenantId}:someone`
    const caller = {
      tenantId,
      endedKey: `${owner}:ended`,
      memberKey: `${owner}:member`,
      recordKey: tenantRecordKey(tenantId),
    }
    const buckets = [{ policy, owner }] as const
    expect((await count(cache, buckets, new Date(), caller)).known).toEqual({
      credential: null,
      member: null,
      record: null,
    })
    await cache.set(caller.memberKey, 'viewer', { ex: 30 })
    await cacheTenantRecord(cache, tenantId, { ...record, limits: { user: 3 } })
    const counted = await count(cache, buckets, new Date(), caller)
    expect(counted.known.member).toBe('viewer')
    expect(parseTenantRecord(counted.known.record)).toEqual({ ...record, limits: { user: 3 } })
    expect(counted.standing).toMatchObject({ remaining: 1, policy: { limit: 3 } })
    expect((await count(cache, buckets, new Date(), caller)).allowed).toBe(true)
    expect((await count(cache, buckets, new Date(), caller)).allowed).toBe(false)
    expect(await cache.hget(requestsKey(new Date()), tenantId)).toBe('3')
  })

  it('finds the tenant and the owner of an API key by what is cached of it', async () => {
    const [tenantId, owner] = [newId('tenant'), newId('user')]
    const hash = crypto.randomUUID()
    const apiKeyKey = apiKeyCacheKey(hash)
    const buckets = [{ policy, owner: someone() }] as const
    expect((await count(cache, buckets, new Date(), { apiKeyKey })).known.credential).toBeNull()
    await cacheApiKey(cache, hash, {
      tenantId,
      keyId: newId('apiKey'),
      owner,
      role: 'owner',
      scopes: ['runs:read'],
      ipAllow: [],
    })
    await cacheMember(cache, tenantId, owner, 'gone')
    await cacheTenantRecord(cache, tenantId, { ...record, limits: { apiKey: 4 } })
    const { known, standing } = await count(cache, buckets, new Date(), { apiKeyKey })
    expect(parseCachedApiKey(known.credential)).toMatchObject({ tenantId, owner })
    expect(parseMember(known.member)).toBe('gone')
    expect(parseTenantRecord(known.record)?.limits).toEqual({ apiKey: 4 })
    expect(standing.policy.limit).toBe(4)
    expect(await cache.hget(requestsKey(new Date()), tenantId)).toBe('1')
  })

  it('takes no newer record’s place with an older one', async () => {
    const tenantId = newId('tenant')
    await cacheTenantRecord(cache, tenantId, { ...record, suspended: true })
    await keepTenantRecord(cache, tenantId, record)
    const kept = parseTenantRecord(await cache.get<string>(tenantRecordKey(tenantId)))
    expect(kept?.suspended).toBe(true)
    for (const bad of [null, '', '{}', '0 0 {}', '0 0 x', JSON.stringify(record)])
      expect(parseTenantRecord(bad)).toBeUndefined()
  })

  it('leaves nothing behind for ever', async () => {
    const owner = someone()
    await count(cache, [{ policy, owner }], new Date())
    const names = await cache.keys(`${owner}:limit:*`)
    expect(names).toHaveLength(1)
    for (const name of names) {
      const left = await cache.pttl(name)
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(2 * policy.windowMs)
    }
  })
})

describe('what the cache holds', () => {
  it('is believed only when it has the form that was written', () => {
    const [tenantId, keyId, owner, projectId] = [
      newId('tenant'),
      newId('apiKey'),
      newId('user'),
      newId('project'),
    ]
    expect(parseCachedApiKey(`${tenantId} ${keyId} ${owner} admin - 0 - runs:read,runs:write`)).toEqual({
      tenantId,
      keyId,
      owner,
      role: 'admin',
      ipAllow: [],
      scopes: ['runs:read', 'runs:write'],
    })
    const bound = `${tenantId} ${keyId} ${owner} viewer ${projectId} 1700000000000 10.0.0.0/8,::1 root`
    expect(parseCachedApiKey(bound)).toEqual({
      tenantId,
      keyId,
      owner,
      role: 'viewer',
      projectId,
      ipAllow: ['10.0.0.0/8', '::1'],
      scopes: [],
      expiresAt: new Date(1_700_000_000_000),
    })
    expect(parseCachedApiKey('revoked')).toBe('revoked')
    const former = `${tenantId} ${keyId} 0 runs:read`
    for (const bad of [null, '', '1', '{}', 'changed', former, bound.replace(owner, keyId)]) {
      expect(parseCachedApiKey(bad)).toBeUndefined()
    }
  })

  it('is named in docs/storage.md, key by key', async () => {
    const doc = await readFile(join(import.meta.dirname, '../../docs/storage.md'), 'utf8')
    const folder = join(import.meta.dirname, '../../src/cache')
    const templates: string[] = []
    for (const file of await readdir(folder)) {
      const text = await readFile(join(folder, file), 'utf8')
      for (const [, template] of text.matchAll(/`((?:public|\$\{\w+\}):[a-z][^`]*)`/g)) {
        templates.push((template ?? '').replaceAll(/\$\{[\w.]+\}/g, '<>'))
      }
    }
    expect(templates.length).toBeGreaterThanOrEqual(3)
    const documented = [...doc.matchAll(/^\| `([^`]+)`/gm)].map(([, key]) =>
      (key ?? '').replaceAll(/<[^>]*>/g, '<>'),
    )
    for (const template of templates) expect(documented.some((key) => key.startsWith(template))).toBe(true)
  })
})
