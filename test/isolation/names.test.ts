import { describe, expect, it } from 'vitest'
import { ids, type TenantId } from '#src/domain/id.ts'
import { as } from '#test/support/answers.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { end, json, start, upload } from '#test/support/pipeline.ts'
import { makeThings, type Things } from '#test/routes/walk/things.ts'
import { world, type Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const owner = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
// One after the other, so that nothing of them differs but whose it is.
const acmes = await makeThings(acme, owner)
const globexs = await makeThings(globex, owner)

const pair = (): [Tenant, Things, Tenant, Things][] => [
  [acme, acmes, globex, globexs],
  [globex, globexs, acme, acmes],
]

/** What may stand in Redis without a tenant in front: counted or looked up before it is known whose it is. */
const publicNames = [
  /^public:api-key:[0-9a-f]{64}$/,
  /^public:api-key:[0-9a-f]{32}:limit:/,
  /^public:address:[0-9a-f]{32}:/,
  /^public:account:[0-9a-f]{32}:/,
  /^public:requests:\d{4}-\d\d-\d\d$/,
  // A person's, whichever tenant they are in.
  /^public:(factor|step-up):usr_[0-9a-hjkmnp-tv-z]{26}:limit:/,
  /^public:[a-z-]+:[0-9a-f]{32,64}(:|$)/,
]
const belongsTo = (name: string): string | undefined => /^(ten_[0-9a-hjkmnp-tv-z]{26}):/.exec(name)?.[1]

async function redisNames(): Promise<string[]> {
  const found = new Set<string>()
  let cursor = '0'
  do {
    const [next, names] = await here.services.cache.scan(cursor, { count: 1_000 })
    for (const name of names) found.add(name)
    cursor = String(next)
  } while (cursor !== '0')
  return [...found]
}

async function storedNames(tenantId: TenantId): Promise<string[]> {
  const { objects } = await here.services.storage.list(tenantId, '')
  return objects.map(({ key }) => key)
}

describe('two tenants that do the same things', () => {
  it('have no name in Redis that is both theirs, or nobody’s', async () => {
    const names = await redisNames()
    const nobodys = names.filter(
      (name) =>
        belongsTo(name) === undefined &&
        !publicNames.some((shape) => shape.test(name)) &&
        // The limiter's own tests count for owners that no entrance makes.
        !/^public:test:|^public:api-key:[\da-f]{8}-[\da-f-]+$/.test(name),
    )
    expect(nobodys).toEqual([])
    for (const tenant of [acme, globex])
      expect(names.filter((name) => belongsTo(name) === tenant.id).length).toBeGreaterThan(0)
    for (const name of names.filter((one) => belongsTo(one) === acme.id))
      for (const id of Object.values(globexs)) expect(name).not.toContain(id)
  })

  it('have nothing of each other in what Redis holds', async () => {
    for (const [tenant, , other] of pair())
      for (const name of (await redisNames()).filter((one) => belongsTo(one) === tenant.id)) {
        const value = await here.services.cache.get<string>(name).catch(() => null)
        expect(String(value)).not.toContain(other.id)
      }
  })

  it('have folders of their own in the storage', async () => {
    for (const [tenant, things, other] of pair()) {
      const names = await storedNames(tenant.id)
      expect(names).toContainEqual(expect.stringContaining(things['connection'] ?? ''))
      for (const name of names) expect(name).toMatch(new RegExp(`^tenants/${tenant.id}/`))
      expect(names.join()).not.toContain(other.id)
    }
  })

  it('get signed addresses that reach no other object, and no other way', async () => {
    const connection = acmes['connection'] ?? ''
    const asked = await acme.fetch(`/v1/connections/${connection}/files`, {
      method: 'POST',
      body: { name: 'signed.csv', bytes: 4 },
    })
    const { upload: to } = await json<{
      upload: { url: string; method: string; headers: Record<string, string> }
    }>(asked, 201)
    const put = (url: string) => fetch(url, { method: 'PUT', headers: to.headers, body: 'a\n1\n' })
    const theirs = to.url.replaceAll(acme.id, globex.id).replaceAll(connection, globexs['connection'] ?? '')
    expect(theirs).not.toBe(to.url)
    for (const url of [theirs, to.url.replace('signed.csv', 'other.csv')])
      expect((await put(url)).status).toBe(403)
    expect((await fetch(to.url, { method: 'DELETE', headers: to.headers })).status).toBe(403)
    expect((await put(to.url)).status).toBe(200)
    expect(await storedNames(globex.id)).not.toContainEqual(expect.stringContaining('signed.csv'))
  })

  it('may use one idempotency key for two different things', async () => {
    const headers = { 'Idempotency-Key': 'the-same' }
    const make = (tenant: Tenant, name: string) =>
      tenant.fetch('/v1/connections', { method: 'POST', headers, body: { name, kind: 'files' } })
    const mine = await json<{ id: string; name: string }>(await make(acme, 'mine'), 201)
    const theirs = await make(globex, 'theirs')
    expect(theirs.headers.has('idempotency-replayed')).toBe(false)
    const other = await json<{ id: string; name: string }>(theirs, 201)
    expect([mine.name, other.name]).toEqual(['mine', 'theirs'])
    const again = await make(acme, 'mine')
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect((await json<{ id: string }>(again, 201)).id).toBe(mine.id)
    const stranger = await here.app.request(
      '/v1/connections',
      {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{"name":"mine","kind":"files"}',
      },
      { address: '2001:db8:77::1' },
    )
    expect(stranger.status).toBe(401)
  })

  it('cannot go on with each other’s cursors', async () => {
    for (const tenant of [acme, globex])
      for (const name of ['one', 'two', 'three'])
        await tenant.fetch('/v1/connections', { method: 'POST', body: { name, kind: 'files' } })
    const first = await json<{ nextCursor: string }>(await acme.fetch('/v1/connections?limit=1'), 200)
    const path = `/v1/connections?limit=1&cursor=${encodeURIComponent(first.nextCursor)}`
    expect((await acme.fetch(path)).status).toBe(200)
    expect((await globex.fetch(path)).status).toBe(400)
  })

  it('hear nothing of each other’s runs', async () => {
    const run = await start(acme, acmes['pipeline'] ?? '')
    expect((await globex.fetch(`/v1/runs/${run}/events`)).status).toBe(404)
    expect((await globex.fetch(`/v1/runs/${run}/logs`)).status).toBe(404)
    const watched: string[] = []
    const subscriber = here.services.cache.subscribe([`${globex.id}:live:${run}`])
    subscriber.on('message', ({ message }) => watched.push(String(message)))
    await end(acme, run)
    await subscriber.unsubscribe()
    expect(watched).toEqual([])
    const events = await (await acme.fetch(`/v1/runs/${run}/events`)).text()
    expect(events).toContain('run.')
    expect(events).not.toContain(globex.id)
    for (const [tenant, , , others] of pair())
      for (const kind of ['runs', 'alerts', 'dead-letters', 'backfills', 'datasets', 'connections']) {
        const text = await (await tenant.fetch(`/v1/${kind}`)).text()
        for (const id of Object.values(others)) expect(text).not.toContain(id)
      }
  })

  it('have lines in the log that name one of them alone', async () => {
    const lines: string[] = []
    const logged = await world((services) => ({
      ...services,
      log: (line) => void lines.push(JSON.stringify(line)),
    }))
    try {
      for (const [tenant, , , others] of pair())
        await logged.app.request(
          `/v1/runs/${others['run'] ?? ''}`,
          { headers: { authorization: `Bearer ${tenant.apiKey}` } },
          { address: '2001:db8:78::1' },
        )
      const requests = lines.filter((line) => line.includes('"event":"request"'))
      expect(requests).toHaveLength(2)
      for (const line of requests) expect(line.includes(acme.id) && line.includes(globex.id)).toBe(false)
      for (const id of [acmes['run'], globexs['run']]) expect(requests.join()).not.toContain(id)
    } finally {
      await logged.close()
    }
  })

  it('cannot answer for each other’s steps', async () => {
    const { answerTokens } = here.services
    const address = {
      from: 'callback' as const,
      tenantId: acme.id,
      runId: ids.run.parse(acmes['run']),
      step: 'one',
      mapIndex: 0,
      key: crypto.randomUUID(),
      expiresAtMs: Date.now() + 60_000,
    }
    const token = await answerTokens.sign(address)
    const [payload = '', mac = ''] = token.split('.')
    const forged = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replaceAll(acme.id, globex.id),
    ).toString('base64url')
    expect(await answerTokens.read(token)).toMatchObject({ tenantId: acme.id })
    expect(await answerTokens.read(`${forged}.${mac}`)).toBeUndefined()
    // A token of ours that names the other's run waits for nothing there, in the words for a run that is over.
    const crossed = await answerTokens.sign({ ...address, tenantId: globex.id })
    const answer = await here.app.request(
      `/v1/callbacks/${crossed}`,
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' },
      { address: '2001:db8:79::1' },
    )
    expect(answer.status).toBe(409)
  })

  it('cannot use each other’s credentials for anything but their own', async () => {
    const session = as(globex, globex.accessToken)
    await upload(globex, globexs['connection'] ?? '', 'own.csv', 'a\n2\n')
    expect((await session(`/v1/connections/${acmes['connection'] ?? ''}/files/own.csv`)).status).toBe(404)
    const me = await json<{ tenant: { id: string } }>(
      await session('/v1/me', { headers: { 'X-Tenant-Id': acme.id, 'X-Weir-Tenant': acme.id } }),
      200,
    )
    expect(me.tenant.id).toBe(globex.id)
  })
})
