import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'
import { password, type Tenant } from '#test/support/world.ts'

let here: SsoWorld
beforeAll(async () => {
  here = await ssoWorld()
})
afterAll(() => here.close())

const issuer = 'http://127.0.0.1:9/realms/acme'
const body = { name: 'Acme', issuer, clientId: 'weir', clientSecret: 'the secret itself' }
type Made = { id: string; hasSecret: boolean; clientAuth: string }
const json = async <T>(answer: Response) => (await answer.json()) as T

describe('providers', () => {
  it('are made, read, changed and deleted, and never show their secret', async () => {
    const acme = await here.tenant()
    const made = await acme.fetch('/v1/sso/providers', { method: 'POST', body })
    expect(made.status).toBe(201)
    const provider = await json<Made>(made)
    expect(provider).toMatchObject({
      name: 'Acme',
      clientAuth: 'basic',
      hasSecret: true,
      jit: true,
      roleMap: [],
    })
    const path = `/v1/sso/providers/${provider.id}`
    const read = await acme.fetch(path)
    const text = await read.text()
    expect(text).not.toContain('the secret itself')
    expect(text).not.toContain('clientSecret')

    const change = { roleMap: [{ group: 'staff', role: 'developer' }], groupsClaim: 'groups' }
    const headers = { 'If-Match': read.headers.get('etag') ?? '' }
    const changed = await acme.fetch(path, { method: 'PATCH', body: change, headers })
    expect(await json(changed)).toMatchObject(change)
    expect((await acme.fetch(path, { method: 'PATCH', body: change, headers })).status).toBe(412)
    expect((await acme.fetch(path, { method: 'PATCH', body: change })).status).toBe(428)
    expect(await json(await acme.fetch('/v1/sso/providers'))).toMatchObject({ items: [{ id: provider.id }] })
    expect((await acme.fetch(path, { method: 'DELETE' })).status).toBe(204)
    expect((await acme.fetch(path)).status).toBe(404)
  })

  it('send a stored secret to no other issuer', async () => {
    const acme = await here.tenant()
    const { id } = await json<Made>(await acme.fetch('/v1/sso/providers', { method: 'POST', body }))
    const move = { issuer: 'http://127.0.0.1:9/other' }
    const headers = { 'If-Match': '*' }
    const refused = await acme.fetch(`/v1/sso/providers/${id}`, { method: 'PATCH', body: move, headers })
    expect(refused.status).toBe(422)
    const moved = await acme.fetch(`/v1/sso/providers/${id}`, {
      method: 'PATCH',
      body: { ...move, clientSecret: 'another' },
      headers,
    })
    expect(moved.status).toBe(200)
  })

  it('are another tenant’s as little as made-up ones', async () => {
    const [acme, globex] = [await here.tenant(), await here.tenant()]
    const { id } = await json<Made>(await acme.fetch('/v1/sso/providers', { method: 'POST', body }))
    for (const one of [id, newId('ssoProvider')]) {
      const path = `/v1/sso/providers/${one}`
      expect((await globex.fetch(path)).status).toBe(404)
      expect((await globex.fetch(path, { method: 'DELETE' })).status).toBe(404)
      expect((await globex.fetch(`${path}/check`, { method: 'POST' })).status).toBe(404)
      const claim = { domain: 'globex.example.com', providerId: one }
      expect((await globex.fetch('/v1/sso/domains', { method: 'POST', body: claim })).status).toBe(409)
    }
  })

  it.each<[string, object]>([
    ['roleMap', { roleMap: [{ group: 'x', role: 'owner' }] }],
    ['defaultRole', { defaultRole: 'owner' }],
    ['issuer', { issuer: 'ftp://acme.example.com' }],
    ['issuer', { issuer: 'http://user:secret@127.0.0.1:9' }],
    ['issuer', { issuer: 'http://127.0.0.1:9/?a=b' }],
    ['clientSecret', { clientSecret: undefined, clientAuth: 'post' }],
    ['scopes', { scopes: ['two scopes'] }],
  ])('refuse a wrong %s', async (field, wrong) => {
    const acme = await here.tenant()
    const answer = await acme.fetch('/v1/sso/providers', { method: 'POST', body: { ...body, ...wrong } })
    expect(answer.status).toBe(422)
    const { fields } = await json<{ fields: { path: string }[] }>(answer)
    expect(fields[0]?.path.split(/[.[]/)[0]).toBe(field)
  })

  it('give through groups no more than the one who sets them up may do', async () => {
    const acme = await here.tenant()
    const key = await acme.fetch('/v1/api-keys', {
      method: 'POST',
      body: { name: 'sso alone', scopes: ['sso:write', 'sso:read'] },
    })
    const { key: secret } = await json<{ key: string }>(key)
    const answer = await acme.fetch('/v1/sso/providers', {
      method: 'POST',
      body: { ...body, defaultRole: 'admin' },
      headers: { Authorization: `Bearer ${secret}` },
    })
    expect(answer.status).toBe(403)
  })
})

const name = () => `d${crypto.randomUUID().slice(0, 8)}.example.com`

describe('domains', () => {
  const claim = (tenant: Tenant, domain: string) =>
    tenant.fetch('/v1/sso/domains', { method: 'POST', body: { domain } })

  it('are proved by a TXT record and by nothing else', async () => {
    const acme = await here.tenant()
    const domain = name()
    const { record, verified } = await json<{ record: { value: string }; verified: boolean }>(
      await claim(acme, domain),
    )
    expect(verified).toBe(false)
    expect(record.value).toMatch(/^weir-verification=[0-9a-f]{32}$/)
    const verify = () => acme.fetch(`/v1/sso/domains/${domain}/verify`, { method: 'POST' })
    expect((await verify()).status).toBe(409)
    here.dns.txt.set(domain, ['"v=spf1 -all"', '"weir-verification=00000000000000000000000000000000"'])
    expect((await verify()).status).toBe(409)
    const middle = Math.floor(record.value.length / 2)
    here.dns.txt.set(domain, [`"${record.value.slice(0, middle)}" "${record.value.slice(middle)}"`])
    const proved = await verify()
    expect(await json(proved)).toMatchObject({ domain, verified: true })
  })

  it('are one tenant’s: who comes second is told so, and may have it when the first lets go', async () => {
    const [acme, globex] = [await here.tenant(), await here.tenant()]
    const domain = name()
    expect((await here.prove(acme, domain)).status).toBe(200)
    const second = await here.prove(globex, domain)
    expect(second.status).toBe(409)
    expect((await acme.fetch(`/v1/sso/domains/${domain}`, { method: 'DELETE' })).status).toBe(204)
    expect((await globex.fetch(`/v1/sso/domains/${domain}/verify`, { method: 'POST' })).status).toBe(200)
  })

  it.each(['localhost', 'corp.internal', '127.0.0.1', 'a b.example.com', 'ex_ample', 'https://example.com'])(
    'are public names, which %j is not',
    async (domain) => {
      expect((await claim(await here.tenant(), domain)).status).toBe(422)
    },
  )

  it('are written as DNS writes them', async () => {
    const acme = await here.tenant()
    expect(await json(await claim(acme, 'Bücher.Example.COM.'))).toMatchObject({
      domain: 'xn--bcher-kva.example.com',
    })
  })

  it('cannot be proved while the resolver does not answer', async () => {
    const lonely = await ssoWorld({ DOH_URL: 'http://127.0.0.1:9/dns-query' })
    const acme = await lonely.tenant()
    const domain = name()
    await claim(acme, domain)
    const answer = await acme.fetch(`/v1/sso/domains/${domain}/verify`, { method: 'POST' })
    expect([422, 503]).toContain(answer.status)
    expect(await json(await acme.fetch(`/v1/sso/domains/${domain}`))).toMatchObject({ verified: false })
    await lonely.close()
  })
})

describe('requiring single sign-on', () => {
  it('is refused while nobody could sign in like that', async () => {
    const acme = await here.tenant()
    const put = (requireSso: boolean) => acme.fetch('/v1/sso/policy', { method: 'PUT', body: { requireSso } })
    expect((await put(true)).status).toBe(409)
    await acme.fetch('/v1/sso/providers', { method: 'POST', body })
    await here.prove(acme, name())
    const signIn = async () =>
      (
        await fetch(`${here.url}/v1/sessions`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ email: acme.email, password }),
        })
      ).status
    expect(await signIn()).toBe(201)
    expect((await put(true)).status).toBe(200)
    expect(await signIn()).toBe(403)
    expect((await put(false)).status).toBe(200)
    expect(await signIn()).toBe(201)
  })
})
