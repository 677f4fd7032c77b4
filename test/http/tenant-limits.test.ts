import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readRequests } from '#src/cache/requests.ts'
import { refreshTenantRecord } from '#src/actions/tenant-record.ts'
import type { TenantId } from '#src/domain/id.ts'
import { defaultLimits } from '#src/domain/limit.ts'
import { client } from '#test/support/own-stack.ts'
import { bodyOf, entrance, json } from './entrance.ts'

let owner: pg.Client
beforeAll(async () => {
  owner = await client(inject('ownerUrl'))
})
afterAll(() => owner.end())

/** One moment for a whole test, so that no window ends in the middle of it. */
const at = new Date()
const statusOf = async (answer: Promise<Response>) => (await answer).status

async function onPlan(tenant: string, quotas: object, limits: object): Promise<void> {
  const id = `test-${crypto.randomUUID()}`
  await owner.query('insert into app.plans values ($1, $2, $3)', [
    id,
    JSON.stringify(quotas),
    JSON.stringify(limits),
  ])
  await owner.query('update tenants set plan = $2 where tenant_id = $1', [tenant, id])
}

describe('the limit of a tenant', () => {
  it('holds for its people and keys together, and for no other tenant', async () => {
    const door = await entrance({
      limits: { ...defaultLimits, tenant: { ...defaultLimits.tenant, limit: 12 } },
      now: () => at,
    })
    const [acme, globex] = await Promise.all([door.owner(), door.owner()])
    const [one, two] = [await acme.key(), await acme.key()]
    const answers = []
    for (let i = 0; i < 6; i++) {
      answers.push(await statusOf(one.fetch('/v1/me')), await statusOf(acme.fetch('/v1/me')))
    }
    answers.push(await statusOf(two.fetch('/v1/me')))
    expect(answers.filter((status) => status === 200).length).toBeLessThanOrEqual(12)
    const refused = await acme.fetch('/v1/me')
    expect([refused.status, (await bodyOf(refused))['violated-policies']]).toEqual([429, ['tenant']])
    expect(refused.headers.get('ratelimit-policy')).toBe('"tenant";q=12;w=60')
    expect(await statusOf(globex.fetch('/v1/me'))).toBe(200)
  })

  it('is the one of its plan', async () => {
    const door = await entrance({ now: () => at })
    const acme = await door.owner()
    await onPlan(acme.tenant.id, {}, { tenant: 3 })
    await refreshTenantRecord(door.services, acme.tenant.id as TenantId)
    const answers = []
    for (let i = 0; i < 5; i++) answers.push(await statusOf(acme.fetch('/v1/me')))
    expect(answers).toEqual([200, 200, 200, 429, 429])
  })
})

describe('requests of the month', () => {
  it('are counted once each when they are let in, whoever makes them', async () => {
    const door = await entrance()
    const acme = await door.owner()
    const key = await acme.key()
    const counted = async () =>
      (await readRequests(door.services.cache, new Date())).reduce(
        (sum, { counts }) => sum + (counts[acme.tenant.id] ?? 0),
        0,
      )
    await door.settled()
    const before = await counted()
    for (let i = 0; i < 4; i++) {
      await key.fetch('/v1/me')
      await door.settled()
    }
    for (let i = 0; i < 3; i++) await acme.fetch('/v1/me')
    await acme.as('weir_live_nonsense')('/v1/me')
    expect((await counted()) - before).toBe(7)
  })

  it('end with a 402 for all but seeing why and signing out', async () => {
    const door = await entrance()
    const acme = await door.owner()
    await onPlan(acme.tenant.id, { requests: 5 }, {})
    await owner.query(`insert into request_counts values ($1, (now() at time zone 'utc')::date, 'test', 5)`, [
      acme.tenant.id,
    ])
    await owner.query(`update tenants set over_quota = array['requests'] where tenant_id = $1`, [
      acme.tenant.id,
    ])
    await refreshTenantRecord(door.services, acme.tenant.id as TenantId)
    const refused = await acme.fetch('/v1/api-keys')
    expect(refused.status).toBe(402)
    expect(await bodyOf(refused)).toMatchObject({
      code: 'quota_exceeded',
      quota: { name: 'requests', used: 5, limit: 5 },
    })
    expect(await statusOf(acme.fetch('/v1/api-keys', json({ name: 'x', scopes: ['runs:read'] })))).toBe(402)
    expect(await statusOf(acme.fetch('/v1/me'))).toBe(200)
  })
})
