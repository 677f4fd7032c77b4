import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'

/** A public address, at which this test answers. */
const issuer = 'https://93.184.215.14'
const real = fetch
let asked: string[] = []
let discovery: Record<string, unknown>
let answer: (() => Response) | undefined
let here: SsoWorld

beforeAll(async () => {
  here = await ssoWorld({ ALLOW_PRIVATE_HOSTS: 'false' })
  vi.stubGlobal('fetch', (input: RequestInfo | URL, init?: RequestInit) => {
    const url = input instanceof Request ? input.url : String(input)
    if (url.startsWith('http://127.0.0.1:') || url.startsWith('http://localhost:')) return real(input, init)
    asked.push(url)
    if (!url.startsWith(issuer)) return Promise.resolve(Response.json({ stolen: true }))
    if (url.endsWith('/jwks')) return Promise.resolve(Response.json({ keys: [{ kty: 'EC' }] }))
    return Promise.resolve(answer?.() ?? Response.json({ ...right, ...discovery }))
  })
})
afterEach(() => {
  asked = []
  discovery = {}
  answer = undefined
})
afterAll(async () => {
  vi.unstubAllGlobals()
  await here.close()
})

const right = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
}
const provider = { issuer, clientId: 'weir', clientAuth: 'none', defaultRole: 'viewer' }

describe('a provider of an ill-meaning tenant', () => {
  it.each([
    'http://idp.example.com',
    'https://127.0.0.1',
    'https://169.254.169.254',
    'https://[::1]',
    'https://10.1.2.3',
    'https://0x7f.1',
    'https://localhost',
    'https://metadata.internal',
    'https://93.184.215.14:22',
  ])('cannot be at %s', async (at) => {
    const acme = await here.tenant()
    const body = { name: 'x', ...provider, issuer: at }
    expect((await acme.fetch('/v1/sso/providers', { method: 'POST', body })).status).toBe(422)
    expect(asked).toEqual([])
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['its keys', { jwks_uri: 'https://169.254.169.254/latest/meta-data' }, 'private_address'],
    [
      'its keys, unencrypted',
      { jwks_uri: 'http://169.254.169.254/latest/meta-data' },
      'request_protocol_forbidden',
    ],
    ['its tokens', { token_endpoint: 'https://10.0.0.1/token' }, 'private_address'],
    ['its people', { userinfo_endpoint: 'https://[fd00::1]/me' }, 'private_address'],
    ['its pages', { authorization_endpoint: 'https://localhost/authorize' }, 'private_address'],
  ])('is not asked for %s in a private network', async (_, wrong, code) => {
    const acme = await here.tenant()
    const id = await here.provider(acme, provider)
    discovery = wrong
    const check = await acme.fetch(`/v1/sso/providers/${id}/check`, { method: 'POST' })
    const said = (await check.json()) as { ok: boolean; code: string }
    expect(said.ok).toBe(false)
    expect([code, 'bad_url']).toContain(said.code)
    expect(asked.filter((url) => !url.startsWith(issuer))).toEqual([])
  })

  it('is not followed to where its discovery sends on', async () => {
    const acme = await here.tenant()
    const id = await here.provider(acme, provider)
    answer = () => new Response(null, { status: 302, headers: { Location: 'http://169.254.169.254/latest' } })
    const check = await acme.fetch(`/v1/sso/providers/${id}/check`, { method: 'POST' })
    expect(await check.json()).toMatchObject({ ok: false, code: 'http_redirected' })
    expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`])
  })

  it('cannot turn to a private address between the beginning and the end of a sign-in', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, provider)
    const { url, who } = await here.begin({ providerId })
    const state = new URL(url).searchParams.get('state') ?? ''
    discovery = { token_endpoint: 'https://169.254.169.254/token' }
    expect(await here.finish(who, `${here.redirectUri}?code=x&state=${state}`)).toBe('/sign-in#sso=failed')
    expect(asked.filter((one) => !one.startsWith(issuer))).toEqual([])
  })
})
