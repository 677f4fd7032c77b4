import { beforeAll, describe, expect, it } from 'vitest'
import { isApiKey } from '#src/domain/api-key.ts'
import { bodyOf, entrance, json } from '#test/http/entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>
let globex: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  ;[acme, globex] = await Promise.all([door.owner(), door.owner()])
})

type Key = { id: string; name: string; hint: string; scopes: string[]; createdBy: string; key?: string }

describe('API keys', () => {
  it('are shown once and known by their first characters afterwards', async () => {
    const made = await acme.fetch('/v1/api-keys', json({ name: ' ci ', scopes: ['runs:read', 'runs:read'] }))
    const body = await bodyOf<Key>(made)
    expect(made.status).toBe(201)
    expect(isApiKey(body.key ?? '')).toBe(true)
    expect(body).toMatchObject({ name: 'ci', scopes: ['runs:read'], createdBy: acme.user.id })
    const read = await acme.fetch(made.headers.get('location') ?? '')
    const { key, ...rest } = body
    expect(await bodyOf<Key>(read)).toEqual(rest)
    expect(key?.startsWith(body.hint)).toBe(true)
    const list = await (await acme.fetch('/v1/api-keys')).text()
    expect(list).toContain(body.id)
    expect(list).not.toContain(key)
    expect(list).not.toContain('keyHash')
  })

  it.each([
    [{ name: '', scopes: ['runs:read'] }, ['name']],
    [{ name: 'x', scopes: [] }, ['scopes']],
    [{ name: 'x', scopes: ['runs:*'] }, ['scopes.0']],
    [{ scopes: ['runs:read'], expiresAt: 'soon' }, ['name', 'expiresAt']],
    [{ name: 'x', scopes: ['runs:read'], expiresAt: '2020-01-01T00:00:00Z' }, ['expiresAt']],
  ])('must be described well: %j', async (body, fields) => {
    const answer = await acme.fetch('/v1/api-keys', json(body))
    expect(answer.status).toBe(422)
    expect((await bodyOf(answer)).fields?.map(({ path }) => path)).toEqual(fields)
  })

  it('cannot be made to belong to another tenant or to be older than they are', async () => {
    const extra = {
      tenantId: globex.tenant.id,
      id: 'key_mine',
      createdAt: '2020-01-01T00:00:00Z',
      lastUsedAt: 'x',
    }
    const made = await acme.fetch('/v1/api-keys', json({ name: 'x', scopes: ['runs:read'], ...extra }))
    const { id } = await bodyOf<Key>(made)
    expect(id).not.toBe('key_mine')
    expect((await globex.fetch(`/v1/api-keys/${id}`)).status).toBe(404)
  })

  it("of another tenant do not exist, in the same words as made-up ones'", async () => {
    const { id } = await acme.key()
    const madeUp = id.slice(0, -4) + '0000'
    for (const method of ['GET', 'DELETE']) {
      const theirs = await globex.fetch(`/v1/api-keys/${id}`, { method })
      const nobodys = await globex.fetch(`/v1/api-keys/${madeUp}`, { method })
      expect([theirs.status, nobodys.status]).toEqual([404, 404])
      expect((await bodyOf(theirs)).detail).toBe((await bodyOf(nobodys)).detail)
    }
    expect((await acme.fetch(`/v1/api-keys/${id}`)).status).toBe(200)
  })

  it('are over when they are deleted, once', async () => {
    const { id, fetch } = await acme.key(['api-keys:read'])
    expect((await fetch('/v1/api-keys')).status).toBe(200)
    const statuses = []
    for (let i = 0; i < 2; i++)
      statuses.push((await acme.fetch(`/v1/api-keys/${id}`, { method: 'DELETE' })).status)
    expect(statuses).toEqual([204, 404])
    expect((await fetch('/v1/api-keys')).status).toBe(401)
    expect(await (await acme.fetch('/v1/api-keys')).text()).not.toContain(id)
  })

  it('need the permission, and cannot give more than their maker has', async () => {
    const reader = await acme.key(['api-keys:read', 'runs:read'])
    const maker = await acme.key(['api-keys:write', 'runs:read'])
    const newKey = (scopes: string[]) => json({ name: 'x', scopes })
    expect((await reader.fetch('/v1/api-keys', newKey(['runs:read']))).status).toBe(403)
    expect((await reader.fetch(`/v1/api-keys/${maker.id}`, { method: 'DELETE' })).status).toBe(403)
    expect((await maker.fetch('/v1/api-keys')).status).toBe(403)
    expect((await maker.fetch('/v1/api-keys', newKey(['runs:read']))).status).toBe(201)
    const beyond = await maker.fetch('/v1/api-keys', newKey(['runs:read', 'tenant:write']))
    expect([beyond.status, (await bodyOf(beyond)).detail]).toEqual([
      403,
      'You cannot give what you do not have: tenant:write.',
    ])
  })

  it('show when they were last used', async () => {
    const { id, fetch } = await acme.key()
    const before = await bodyOf<{ lastUsedAt?: string }>(await acme.fetch(`/v1/api-keys/${id}`))
    await fetch('/v1/me')
    const after = await bodyOf<{ lastUsedAt?: string }>(await acme.fetch(`/v1/api-keys/${id}`))
    expect(before.lastUsedAt).toBeUndefined()
    expect(Math.abs(Date.parse(after.lastUsedAt ?? '') - Date.now())).toBeLessThan(60_000)
  })

  it('are listed page by page, each once, under cursors of their own tenant only', async () => {
    const owner = await door.owner()
    const made: string[] = []
    for (let i = 0; i < 5; i++) made.push((await owner.key()).id)
    const seen: string[] = []
    const elsewhere: number[] = []
    let path: string | undefined = '/v1/api-keys?limit=2'
    while (path !== undefined) {
      const answer: Response = await owner.fetch(path)
      const { items, nextCursor } = await bodyOf<{ items: Key[]; nextCursor?: string }>(answer)
      seen.push(...items.map(({ id }) => id))
      path = /^<(.+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
      const cursor = path === undefined ? undefined : new URL(path, 'http://x').searchParams.get('cursor')
      expect(cursor).toBe(nextCursor)
      if (path !== undefined) elsewhere.push((await acme.fetch(path)).status)
    }
    expect(elsewhere).toEqual([400, 400])
    expect(seen).toEqual(made.toReversed())
  })
})
