import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import {
  forged,
  hostileProvider,
  type HostileProvider,
  type Mischief,
} from '#test/support/hostile-provider.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'
import type { Tenant } from '#test/support/world.ts'

let here: SsoWorld
let idp: HostileProvider
let other: HostileProvider
let acme: Tenant & { domain: string }
let providerId: string

beforeAll(async () => {
  here = await ssoWorld()
  ;[idp, other] = await Promise.all([hostileProvider(), hostileProvider()])
  acme = await here.company()
  providerId = await here.provider(acme, {
    issuer: idp.issuer,
    clientId: idp.clientId,
    clientAuth: 'none',
    defaultRole: 'viewer',
    groupsClaim: 'groups',
  })
})
beforeEach(() => {
  idp.mischief = {}
})
afterAll(async () => {
  await Promise.all([idp.close(), other.close()])
  await here.close()
})

const person = () => ({
  sub: crypto.randomUUID(),
  email: `${crypto.randomUUID()}@${acme.domain}`,
  email_verified: true,
  groups: [],
})

/** Begins well, and comes back with the mischief done. */
async function attempt(mischief: Mischief, who = person()) {
  const { url, who: tab } = await here.begin({ providerId })
  idp.mischief = mischief
  const end = await here.finish(tab, idp.comeBack(url, who))
  return { end, me: await here.me(tab) }
}

const now = () => Math.floor(Date.now() / 1000)
const rightClaims = (nonce: string) => ({
  iss: idp.issuer,
  aud: idp.clientId,
  iat: now(),
  exp: now() + 300,
  nonce,
  ...person(),
})

describe('a provider that does wrong', () => {
  it('is believed while it does right, which is what the others are measured by', async () => {
    const { end, me } = await attempt({})
    expect(end).toBe('/')
    expect(me.status).toBe(200)
  })

  it.each<[string, () => Mischief]>([
    ['another nonce', () => ({ claims: { nonce: 'another' } })],
    ['no nonce', () => ({ claims: { nonce: undefined } })],
    ['a token of another issuer', () => ({ claims: { iss: other.issuer } })],
    ['a token for somebody else', () => ({ claims: { aud: 'another-client' } })],
    [
      'a token for several that names another',
      () => ({ claims: { aud: [idp.clientId, 'another'], azp: 'another' } }),
    ],
    ['a token that is over', () => ({ claims: { iat: now() - 900, exp: now() - 600 } })],
    ['a token without an end', () => ({ claims: { exp: undefined } })],
    ['a token without a subject', () => ({ claims: { sub: undefined } })],
    ['a subject without end', () => ({ claims: { sub: 'x'.repeat(300) } })],
    [
      'a token not signed at all',
      () => ({ token: (_, nonce) => forged({ alg: 'none' }, rightClaims(nonce)) }),
    ],
    [
      'a token signed with the client id as its key',
      () => ({ token: (_, nonce) => forged({ alg: 'HS256' }, rightClaims(nonce), idp.clientId) }),
    ],
    [
      'a token whose middle was changed',
      () => ({ token: (right) => right.replace(/\.(.)/, (_, a: string) => `.${a === 'e' ? 'f' : 'e'}`) }),
    ],
    [
      'a token whose signature is of other bytes',
      () => ({ token: (right) => `${right.slice(0, -12)}AAAAAAAAAAAA` }),
    ],
    ['a key that it does not publish', () => ({ header: { kid: 'unknown' } })],
    ['a critical header that nobody knows', () => ({ header: { crit: ['exp'] } })],
    ['no token', () => ({ token: () => '' })],
    ['a token of a megabyte', () => ({ token: () => 'x'.repeat(1024 * 1024) })],
    [
      'keys of a megabyte',
      () => ({ jwks: () => Response.json({ keys: [], more: 'x'.repeat(1024 * 1024) }) }),
    ],
    ['keys that are none', () => ({ jwks: () => Response.json({ keys: 'none' }) })],
    ['keys elsewhere', () => ({ jwks: () => Response.redirect(`${other.issuer}/jwks`, 302) })],
    [
      'a refusal',
      () => ({ tokenEndpoint: () => Response.json({ error: 'invalid_grant' }, { status: 400 }) }),
    ],
    [
      'a page',
      () => ({ tokenEndpoint: () => new Response('<html>', { headers: { 'Content-Type': 'text/html' } }) }),
    ],
    ['a way on', () => ({ tokenEndpoint: () => Response.redirect(`${other.issuer}/token`, 307) })],
    ['the iss of another issuer on the way back (mix-up)', () => ({ iss: other.issuer })],
    [
      'no iss, having promised one',
      () => ({ discovery: { authorization_response_iss_parameter_supported: true }, iss: null }),
    ],
    ['discovery in another name', () => ({ discovery: { issuer: other.issuer } })],
    ['discovery without keys', () => ({ discovery: { jwks_uri: undefined } })],
    ['groups that it left out', () => ({ claims: { groups: undefined, _claim_names: { groups: 'src1' } } })],
  ])('is not believed: %s', async (_, mischief) => {
    const before = other.asked.length
    const { end, me } = await attempt(mischief())
    expect(end).toBe('/sign-in#sso=failed')
    expect(me.status).toBe(401)
    expect(other.asked.length).toBe(before)
  })

  it.each<[string, object]>([
    ['an address that it does not say is verified', { email_verified: undefined }],
    ['an address that is not verified', { email_verified: false }],
    ['no address', { email: undefined }],
    ['the address of another tenant’s domain', { email: 'owner@example.org' }],
    ['two addresses in one', { email: 'a@example.org@b' }],
  ])('brings nobody in with %s', async (_, claims) => {
    const { end, me } = await attempt({ claims: { ...claims } })
    expect(end).toBe('/sign-in#sso=not_allowed')
    expect(me.status).toBe(401)
  })

  it('may take new keys at any moment, without the old ones', async () => {
    expect((await attempt({})).end).toBe('/')
    await idp.rotate()
    expect((await attempt({})).end).toBe('/')
    const { url, who } = await here.begin({ providerId })
    await idp.rotate()
    expect(await here.finish(who, idp.comeBack(url, person()))).toBe('/')
  })

  it('cannot use a code twice, nor ours for another state', async () => {
    const [one, two] = [await here.begin({ providerId }), await here.begin({ providerId })]
    const back = new URL(idp.comeBack(one.url, person()))
    expect(await here.finish(one.who, back.href)).toBe('/')
    back.searchParams.set('state', new URL(two.url).searchParams.get('state') ?? '')
    expect(await here.finish(two.who, back.href)).toBe('/sign-in#sso=failed')
  })

  it('cannot finish what another provider of the tenant began', async () => {
    const otherId = await here.provider(acme, {
      issuer: other.issuer,
      clientId: other.clientId,
      clientAuth: 'none',
      defaultRole: 'admin',
    })
    const { url, who } = await here.begin({ providerId: otherId })
    expect(await here.finish(who, idp.comeBack(url, person()))).toBe('/sign-in#sso=failed')
  })
})

describe('beginning', () => {
  it('says nothing of what is wrong with a provider to who is nobody yet', async () => {
    idp.mischief = { discovery: { token_endpoint: undefined } }
    await expect(here.begin({ providerId })).rejects.toThrow(/503.*identity provider cannot be used/)
  })

  it('does not know a made-up provider', async () => {
    await expect(here.begin({ providerId: newId('ssoProvider') })).rejects.toThrow(/404/)
  })
})

describe('the check of a provider', () => {
  const check = async () =>
    (await (await acme.fetch(`/v1/sso/providers/${providerId}/check`, { method: 'POST' })).json()) as {
      ok: boolean
      code?: string
      detail: string
      warnings?: string[]
    }

  it('says that it works', async () => {
    expect(await check()).toMatchObject({ ok: true })
  })

  it.each<[string, Mischief]>([
    ['no_keys', { jwks: () => Response.json({ keys: [] }) }],
    ['discovery_incomplete', { discovery: { token_endpoint: undefined } }],
    ['no_code_flow', { discovery: { response_types_supported: ['id_token'] } }],
    ['http_redirected', { jwks: () => Response.redirect('http://169.254.169.254/latest/meta-data', 302) }],
    ['too_large', { jwks: () => new Response('x'.repeat(300 * 1024)) }],
  ])('says %s', async (code, mischief) => {
    idp.mischief = mischief
    expect(await check()).toMatchObject({ ok: false, code })
  })

  it('warns of what may not work', async () => {
    idp.mischief = {
      discovery: { scopes_supported: ['openid'], code_challenge_methods_supported: ['plain'] },
    }
    const { ok, warnings } = await check()
    expect(ok).toBe(true)
    expect(warnings).toHaveLength(3)
  })
})
