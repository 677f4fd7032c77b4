import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { as, keyFor, problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

const change = async (tenant: Tenant, body: Record<string, unknown>) => {
  const changed = await as(tenant, tenant.accessToken)('/v1/tenant?force=true', {
    method: 'PATCH',
    headers: { 'If-Match': '*' },
    body,
  })
  await json(changed, 200)
}

const from = (tenant: Tenant, address: string | undefined, headers: Record<string, string> = {}) =>
  here.app.request(
    '/v1/me',
    { headers: { authorization: `Bearer ${tenant.apiKey}`, ...headers } },
    address === undefined ? {} : { address },
  )

describe('a tenant’s list of addresses', () => {
  beforeAll(() => change(acme, { ipAllow: ['203.0.113.0/24', '2001:db8:7::/48'] }))
  afterAll(async () => {
    await here.app.request(
      '/v1/tenant',
      {
        method: 'PATCH',
        headers: {
          authorization: `Bearer ${acme.accessToken}`,
          'If-Match': '*',
          'Content-Type': 'application/json',
        },
        body: '{"ipAllow":[]}',
      },
      { address: '203.0.113.7' },
    )
  })

  it.each([
    ['203.0.113.7', 200],
    ['::ffff:203.0.113.7', 200],
    ['2001:db8:7:1::1', 200],
    ['203.0.114.7', 403],
    ['2001:db8:8::1', 403],
    ['::ffff:203.0.114.7', 403],
    ['10.0.0.1', 403],
    [undefined, 403],
  ])('lets %s in, or not: %s', async (address, status) => {
    expect((await from(acme, address)).status).toBe(status)
  })

  it.each([
    'x-forwarded-for',
    'x-real-ip',
    'forwarded',
    'true-client-ip',
    'cf-connecting-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'via',
  ])('does not believe what %s says', async (header) => {
    const value = header === 'forwarded' ? 'for=203.0.113.7' : '203.0.113.7'
    const refused = await problem(await from(acme, '198.51.100.9', { [header]: value }), 403)
    expect(refused.detail).toBe('This tenant may not be reached from your address.')
    expect((await from(acme, '203.0.113.7', { [header]: '198.51.100.9' })).status).toBe(200)
  })

  it('is nobody else’s, and holds for every credential', async () => {
    expect((await from(globex, '198.51.100.9')).status).toBe(200)
    const token = await here.app.request(
      '/v1/me',
      { headers: { authorization: `Bearer ${acme.accessToken}` } },
      { address: '198.51.100.9' },
    )
    expect(token.status).toBe(403)
  })
})

describe('a tenant’s list of sites', () => {
  const site = 'https://app.acme.com'
  beforeAll(() => change(globex, { origins: [site] }))

  it('lets their pages read and do, without cookies', async () => {
    const answer = await globex.fetch('/v1/me', { headers: { origin: site } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, site])
    expect(answer.headers.has('access-control-allow-credentials')).toBe(false)
    const made = await globex.fetch('/v1/connections', {
      method: 'POST',
      headers: { origin: site, 'sec-fetch-site': 'cross-site' },
      body: { name: 'from-a-page', kind: 'files' },
    })
    await json(made, 201)
  })

  it('is no other tenant’s', async () => {
    const answer = await acme.fetch('/v1/me', { headers: { origin: site } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([403, null])
  })

  it('lets no page use the cookie of who is signed in', async () => {
    const answer = await here.app.request(
      '/v1/connections',
      {
        method: 'POST',
        headers: {
          cookie: `__Host-access=${globex.accessToken}`,
          origin: site,
          'sec-fetch-site': 'cross-site',
          'content-type': 'application/json',
        },
        body: '{"name":"forged","kind":"files"}',
      },
      { address: '198.51.100.9' },
    )
    expect(answer.status).toBe(403)
    const few = await keyFor(globex, ['connections:read'])
    const { items } = await json<{ items: { name: string }[] }>(await few('/v1/connections'), 200)
    expect(items.map(({ name }) => name)).not.toContain('forged')
  })
})
