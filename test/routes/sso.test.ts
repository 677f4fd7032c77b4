import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { browser } from '#test/support/browser.ts'
import { clientSecret, identityProvider, type IdentityProvider } from '#test/support/identity-provider.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'

let here: SsoWorld
let idp: IdentityProvider

beforeAll(async () => {
  here = await ssoWorld()
  idp = await identityProvider(here.redirectUri)
})
afterAll(async () => {
  await idp.close()
  await here.close()
})

const basic = () => ({ issuer: idp.issuer, clientId: 'basic', clientSecret, defaultRole: 'viewer' })
const someone = (domain: string, more: object = {}) => {
  const login = crypto.randomUUID()
  const email = `${login}@${domain}`
  idp.people.set(login, { email, email_verified: true, name: 'Ada', ...more })
  return { login, email }
}
/** The whole way, through the provider's own pages. */
async function signIn(login: string, by: Record<string, unknown>, who = browser()) {
  const { url } = await here.begin(by, who)
  const end = await here.finish(who, await idp.signIn(who, url, login))
  return { who, end }
}

describe('signing in with a real provider', () => {
  it('makes a member at the first sign-in, found by the domain, and brings them where they wanted to go', async () => {
    const acme = await here.company()
    await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const { who, end } = await signIn(ada.login, { email: ada.email, returnTo: '/runs?state=failed' })
    expect(end).toBe('/runs?state=failed')
    expect(await here.me(who)).toMatchObject({
      status: 200,
      tenant: { id: acme.id },
      user: { email: ada.email, role: 'viewer' },
    })
  })

  it('knows the same person again by the subject, also under another address', async () => {
    const acme = await here.company()
    await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const first = await signIn(ada.login, { email: ada.email })
    idp.people.set(ada.login, { email: `married@${acme.domain}`, email_verified: true })
    const second = await signIn(ada.login, { email: ada.email })
    const [one, two] = [await here.me(first.who), await here.me(second.who)]
    expect(two.user).toEqual(one.user)
    expect(two.user?.email).toBe(ada.email)
  })

  it.each([
    ['client_secret_post', { clientId: 'post', clientSecret, clientAuth: 'post' }],
    ['a public client', { clientId: 'public', clientAuth: 'none' }],
  ])('works with %s', async (_, client) => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { issuer: idp.issuer, defaultRole: 'viewer', ...client })
    const ada = someone(acme.domain)
    const { who } = await signIn(ada.login, { providerId })
    expect((await here.me(who)).user?.email).toBe(ada.email)
  })

  it('refuses with a wrong secret, and says nothing of it outside', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { ...basic(), clientSecret: 'wrong' })
    const ada = someone(acme.domain)
    const { who, end } = await signIn(ada.login, { providerId })
    expect(end).toBe('/sign-in#sso=failed')
    expect((await here.me(who)).status).toBe(401)
    const log = (await (await acme.fetch('/v1/audit?action=sso.refused')).json()) as {
      items: { target?: { id: string }; details: { reason: string } }[]
    }
    expect(JSON.stringify(log.items)).toContain('client_refused')
  })

  it('says that somebody turned back at the provider', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const { url, who } = await here.begin({ providerId })
    const state = new URL(url).searchParams.get('state') ?? ''
    const back = `${here.redirectUri}?error=access_denied&state=${state}&iss=${encodeURIComponent(idp.issuer)}`
    expect(await here.finish(who, back)).toBe('/sign-in#sso=failed')
  })

  it('gives the role of the first group that is mapped, again at each sign-in, and takes it away with the groups', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, {
      ...basic(),
      defaultRole: null,
      scopes: ['groups'],
      groupsClaim: 'groups',
      roleMap: [
        { group: 'weir-admins', role: 'admin' },
        { group: 'weir-people', role: 'analyst' },
      ],
    })
    const ada = someone(acme.domain, { groups: ['weir-people', 'weir-admins', 'others'] })
    const first = await signIn(ada.login, { providerId })
    expect((await here.me(first.who)).user?.role).toBe('admin')

    idp.people.set(ada.login, { email: ada.email, email_verified: true, groups: ['weir-people'] })
    const second = await signIn(ada.login, { providerId })
    expect((await here.me(second.who)).user?.role).toBe('analyst')
    // The session from before has no more than the person has now.
    expect((await here.me(first.who)).user?.role).not.toBe('admin')

    idp.people.set(ada.login, { email: ada.email, email_verified: true, groups: ['others'] })
    const third = await signIn(ada.login, { providerId })
    expect(third.end).toBe('/sign-in#sso=not_allowed')
    expect((await here.me(second.who)).status).toBe(401)
    expect((await here.me(third.who)).status).toBe(401)

    idp.people.set(ada.login, { email: ada.email, email_verified: true, groups: ['weir-people'] })
    const fourth = await signIn(ada.login, { providerId })
    expect(await here.me(fourth.who)).toMatchObject({ status: 200, user: { role: 'analyst' } })
  })

  it('lets nobody in who is in no mapped group, and makes no account of them', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { ...basic(), defaultRole: null })
    const ada = someone(acme.domain)
    expect((await signIn(ada.login, { providerId })).end).toBe('/sign-in#sso=not_allowed')
    const signUp = await acme.fetch(
      '/scim/v2/Users?filter=' + encodeURIComponent(`userName eq "${ada.email}"`),
    )
    expect(await signUp.json()).toMatchObject({ totalResults: 0 })
  })

  it('lets only members in where it makes none', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { ...basic(), jit: false })
    const stranger = someone(acme.domain)
    expect((await signIn(stranger.login, { providerId })).end).toBe('/sign-in#sso=not_allowed')
  })

  it('leaves the owner who set it up the owner, with the password they have', async () => {
    const domain = `d${crypto.randomUUID().slice(0, 8)}.example.com`
    const owner = { email: `owner@${domain}`, password: 'chosen by the owner' }
    const post = (path: string, body: object, headers: Record<string, string> = {}) =>
      fetch(`${here.url}${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
    const signedUp = await post('/v1/sign-up', { ...owner, tenantName: 'Acme' })
    const { accessToken } = (await signedUp.json()) as { accessToken: string }
    const bearer = { Authorization: `Bearer ${accessToken}` }
    const claimed = await post('/v1/sso/domains', { domain }, bearer)
    const { record } = (await claimed.json()) as { record: { value: string } }
    here.dns.txt.set(domain, [record.value])
    expect((await post(`/v1/sso/domains/${domain}/verify`, {}, bearer)).status).toBe(200)
    const mapped = { ...basic(), name: 'Acme', defaultRole: null, groupsClaim: 'groups', jit: false }
    expect((await post('/v1/sso/providers', mapped, bearer)).status).toBe(201)
    const login = crypto.randomUUID()
    idp.people.set(login, { email: owner.email, email_verified: true, groups: [] })
    const { who } = await signIn(login, { email: owner.email })
    expect((await here.me(who)).user).toMatchObject({ email: owner.email, role: 'owner' })
    expect((await post('/v1/sessions', owner)).status).toBe(201)
  })

  it('makes two tabs of one browser two sign-ins', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const who = browser()
    const [one, two] = [
      await here.begin({ providerId, returnTo: '/a' }, who),
      await here.begin({ providerId, returnTo: '/b' }, who),
    ]
    expect(await here.finish(who, await idp.signIn(who, one.url, ada.login))).toBe('/a')
    expect(await here.finish(who, await idp.signIn(who, two.url, ada.login))).toBe('/b')
  })
})

describe('whose account it is', () => {
  it('takes an address only where it is verified there', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain, { email_verified: false })
    expect((await signIn(ada.login, { providerId })).end).toBe('/sign-in#sso=not_allowed')
  })

  it('never takes the account of another domain, whatever the provider says', async () => {
    const [acme, globex] = [await here.company(), await here.company()]
    const providerId = await here.provider(acme, basic())
    const login = crypto.randomUUID()
    for (const email of [globex.email, `somebody@${globex.domain}`, 'somebody@example.org']) {
      idp.people.set(login, { email, email_verified: true })
      const { who, end } = await signIn(login, { providerId })
      expect(end, email).toBe('/sign-in#sso=not_allowed')
      expect((await here.me(who)).status).toBe(401)
    }
  })

  it('keeps two tenants with the same issuer apart', async () => {
    const [acme, globex] = [await here.company(), await here.company()]
    const atAcme = await here.provider(acme, basic())
    const atGlobex = await here.provider(globex, basic())
    const ada = someone(acme.domain)
    const first = await signIn(ada.login, { providerId: atAcme })
    expect((await here.me(first.who)).tenant?.id).toBe(acme.id)
    const second = await signIn(ada.login, { providerId: atGlobex })
    expect(second.end).toBe('/sign-in#sso=not_allowed')
  })

  it('closes an account that somebody else made under the address, before it is its owner’s', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const json = { method: 'POST', headers: { 'Content-Type': 'application/json' } }
    const squatter = { email: ada.email, password: 'the squatter knows this' }
    const signedUp = await fetch(`${here.url}/v1/sign-up`, {
      ...json,
      body: JSON.stringify({ ...squatter, tenantName: 'Squat' }),
    })
    const { accessToken } = (await signedUp.json()) as { accessToken: string }
    const squat = () => fetch(`${here.url}/v1/me`, { headers: { Authorization: `Bearer ${accessToken}` } })
    expect((await squat()).status).toBe(200)
    const { who } = await signIn(ada.login, { providerId })
    expect((await here.me(who)).tenant?.id).toBe(acme.id)
    expect((await squat()).status).toBe(401)
    const again = await fetch(`${here.url}/v1/sessions`, { ...json, body: JSON.stringify(squatter) })
    expect(again.status).toBe(401)
  })

  it('does not give an account to the next one with its address, until somebody unlinks it', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const first = await here.me((await signIn(ada.login, { providerId })).who)
    const next = crypto.randomUUID()
    idp.people.set(next, { email: ada.email, email_verified: true })
    expect((await signIn(next, { providerId })).end).toBe('/sign-in#sso=not_allowed')
    const path = `/v1/sso/providers/${providerId}/identities/${first.user?.id ?? ''}`
    expect((await acme.fetch(path, { method: 'DELETE' })).status).toBe(204)
    const again = await signIn(next, { providerId })
    expect((await here.me(again.who)).user?.id).toBe(first.user?.id)
  })

  it('stops speaking for people when the domain is let go', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    await signIn(ada.login, { providerId })
    expect((await acme.fetch(`/v1/sso/domains/${acme.domain}`, { method: 'DELETE' })).status).toBe(204)
    expect((await signIn(ada.login, { providerId })).end).toBe('/sign-in#sso=not_allowed')
  })
})

describe('a sign-in under way', () => {
  it('is good once, and only in its own browser', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const { url, who } = await here.begin({ providerId })
    const back = await idp.signIn(who, url, ada.login)
    const other = browser()
    expect(await here.finish(other, back)).toBe('/sign-in#sso=expired')
    const withOwnCookie = await here.begin({ providerId }, browser())
    expect(await here.finish(withOwnCookie.who, back)).toBe('/sign-in#sso=expired')
    expect(await here.finish(who, back)).toBe('/')
    expect(await here.finish(who, back)).toBe('/sign-in#sso=expired')
  })

  it('is finished by one of many that come at once', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const ada = someone(acme.domain)
    const { url, who } = await here.begin({ providerId })
    const back = await idp.signIn(who, url, ada.login)
    const ends = await Promise.all(Array.from({ length: 8 }, () => here.finish(who, back)))
    expect(ends.filter((end) => end === '/')).toHaveLength(1)
    expect(ends.filter((end) => end === '/sign-in#sso=expired')).toHaveLength(7)
  })

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '/%09/evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
    '/v1/sessions',
    '/../v1/me',
    '/.//evil.example',
  ])('does not go on to %j', async (returnTo) => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const body = JSON.stringify({ providerId, returnTo })
    const answer = await browser().post(`${here.url}/v1/sso/start`, body, 'application/json')
    if (returnTo === '/%09/evil.example') expect(answer.status).toBe(200) // a path of ours that is not there
    else expect(answer.status).toBe(422)
  })

  it('asks with PKCE, a nonce and a state, and keeps none of them where a look at the table shows them', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, basic())
    const { url } = await here.begin({ providerId })
    const asked = Object.fromEntries(new URL(url).searchParams)
    expect(asked).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      redirect_uri: here.redirectUri,
    })
    for (const name of ['state', 'nonce', 'code_challenge'])
      expect(asked[name]?.length).toBeGreaterThanOrEqual(43)
    const owner = new pg.Client({ connectionString: inject('ownerUrl') })
    await owner.connect()
    const { rows } = await owner.query<{ kept: string }>(
      'select to_jsonb(a)::text as kept from sso_attempts a where tenant_id = $1',
      [acme.id],
    )
    await owner.end()
    expect(rows).toHaveLength(1)
    for (const name of ['state', 'nonce']) expect(rows[0]?.kept).not.toContain(asked[name])
  })

  it('says of an address only whether its domain signs in here', async () => {
    const acme = await here.company()
    await here.provider(acme, basic())
    const start = (email: string) =>
      browser().post(`${here.url}/v1/sso/start`, JSON.stringify({ email }), 'application/json')
    expect((await start(`nobody-at-all@${acme.domain}`)).status).toBe(200)
    expect((await start(`nobody@${crypto.randomUUID()}.example.com`)).status).toBe(404)
    expect((await start(`nobody@${acme.domain.toUpperCase()}`)).status).toBe(200)
  })
})
