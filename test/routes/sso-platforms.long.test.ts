import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { buildProgram } from '#local/build.ts'
import { startDeno } from '#local/deno.ts'
import { freePort } from '#local/ports.ts'
import { startWorker, type WorkerHost } from '#local/worker.ts'
import { certificate } from '#test/support/certificate.ts'
import { dns, type Dns } from '#test/support/dns.ts'
import { clientSecret, identityProvider, type IdentityProvider } from '#test/support/identity-provider.ts'
import { postForm, samlIdp, type SamlForm } from '#test/support/saml-provider.ts'
import { ssoPlace, type SsoPlace } from '#test/support/sso.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'

/** What is deployed, built as it is deployed, on the two platforms; the routes' own tests run the same in Node. */
describe.each([
  ['workerd', 'worker', startWorker],
  ['deno', 'deno', startDeno],
] as const)('the program built for %s', (platform, name, start) => {
  let dir: string
  let host: WorkerHost
  let resolver: Dns
  let idp: IdentityProvider
  let here: SsoPlace
  let acme: Tenant & { domain: string }
  const lines: string[] = []

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'weir-sso-'))
    const { file } = await buildProgram({ entry: `src/${name}.ts`, platform, outDir: dir })
    resolver = await dns()
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const env = { ...inject('env'), PUBLIC_URL: url, DOH_URL: resolver.url }
    host = await start({ env, port, script: file, onLine: (line) => lines.push(line) })
    here = ssoPlace({ url, tenant: () => newTenant(url, (request) => fetch(request)) }, resolver)
    idp = await identityProvider(here.redirectUri)
    acme = await here.company()
  }, 120_000)
  afterAll(async () => {
    await host.stop()
    await Promise.all([idp.close(), resolver.close()])
    await rm(dir, { recursive: true, force: true })
  })

  const json = async <T>(answer: Response) => (await answer.json()) as T

  it('signs somebody in over OpenID Connect, with a real provider', async () => {
    const providerId = await here.provider(acme, {
      issuer: idp.issuer,
      clientId: 'basic',
      clientSecret,
      defaultRole: 'viewer',
    })
    const login = crypto.randomUUID()
    const email = `${login}@${acme.domain}`
    idp.people.set(login, { email, email_verified: true })
    const { url, who } = await here.begin({ providerId, returnTo: '/runs' })
    const back = await idp.signIn(who, url, login)
    expect(await here.finish(who, back)).toBe('/runs')
    expect(await here.me(who)).toMatchObject({ status: 200, tenant: { id: acme.id }, user: { email } })
    expect(await here.finish(who, back)).toBe('/sign-in#sso=expired')
  })

  it('signs somebody in over SAML, with a real provider, and nobody whose assertion was touched', async () => {
    const saml = samlIdp(true)
    const providerId = await here.provider(acme, {
      kind: 'saml',
      metadata: saml.metadata,
      emailAttribute: 'mail',
      defaultRole: 'viewer',
    })
    const spMetadata = await (await fetch(`${host.url}/v1/sso/providers/${providerId}/metadata`)).text()
    const login = crypto.randomUUID()
    const email = `${login}@${acme.domain}`
    const begin = async () => {
      const { url, who } = await here.begin({ providerId, returnTo: '/runs' })
      return { who, form: await saml.answer(url, spMetadata, { id: login, email }) }
    }
    const posted = async (form: SamlForm) => (await postForm(form)).headers.get('location') ?? ''

    const { who, form } = await begin()
    const way = await posted(form)
    expect(way).toMatch(/^\/v1\/sso\/callback\?state=[\w-]{43}&answer=[\w-]{43}$/)
    expect(await posted(form)).toBe('/sign-in#sso=expired')
    expect(await here.finish(who, host.url + way)).toBe('/runs')
    expect(await here.me(who)).toMatchObject({ status: 200, tenant: { id: acme.id }, user: { email } })

    const touched = await begin()
    const xml = Buffer.from(touched.form.fields.SAMLResponse, 'base64').toString()
    const changed = xml.replaceAll(email, `owner@${acme.domain}`)
    expect(changed).not.toBe(xml)
    const SAMLResponse = Buffer.from(changed).toString('base64')
    const fields = { ...touched.form.fields, SAMLResponse }
    expect(await posted({ ...touched.form, fields })).toBe('/sign-in#sso=failed')
    const log = await (await acme.fetch('/v1/audit?action=sso.refused')).text()
    expect(log).toContain('signature_wrong')
  })

  it('reads certificates: takes the good ones and says what is wrong with the others', async () => {
    const body = (pem: string) => ({
      kind: 'saml',
      name: crypto.randomUUID(),
      entityId: 'urn:idp',
      signInUrl: 'https://127.0.0.1/sso',
      certificates: [pem],
    })
    const make = (pem: string) => acme.fetch('/v1/sso/providers', { method: 'POST', body: body(pem) })
    const good = certificate('good')
    expect(await json(await make(good.pem))).toMatchObject({
      certificates: [{ pem: good.pem, subject: 'CN=good', notBefore: good.from, notAfter: good.until }],
    })
    for (const [pem, words] of [
      [certificate('weak', { bits: 1024 }).pem, '1024 bits'],
      [certificate('curve', { kind: 'ec' }).pem, 'an RSA key'],
      [certificate('over', { until: new Date(Date.now() - 1_000) }).pem, 'is over since'],
      [good.pem.replace('MII', 'AAA'), 'not a certificate'],
    ] as const)
      expect(await (await make(pem)).text()).toContain(words)
  })

  it('provisions people and groups over SCIM', async () => {
    const headers = { 'Content-Type': 'application/scim+json' }
    const scim = <T>(path: string, method = 'GET', body?: object) =>
      acme
        .fetch(`/scim/v2${path}`, {
          method,
          headers,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        .then((answer) => json<T>(answer))
    const userName = `${crypto.randomUUID()}@${acme.domain}`
    const core = 'urn:ietf:params:scim:schemas:core:2.0'
    const user = await scim<{ id: string }>('/Users', 'POST', {
      schemas: [`${core}:User`],
      userName,
      active: true,
    })
    const found = await scim(`/Users?filter=${encodeURIComponent(`userName eq "${userName.toUpperCase()}"`)}`)
    expect(found).toMatchObject({ totalResults: 1, Resources: [{ id: user.id, active: true }] })
    const group = {
      schemas: [`${core}:Group`],
      displayName: crypto.randomUUID(),
      members: [{ value: user.id }],
    }
    expect(await scim('/Groups', 'POST', group)).toMatchObject({ members: [{ value: user.id }] })
    const isMember = async () => (await acme.fetch(`/v1/members/${user.id}`)).status
    expect(await isMember()).toBe(200)
    const patch = {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'Replace', path: 'active', value: 'False' }],
    }
    expect(await scim(`/Users/${user.id}`, 'PATCH', patch)).toMatchObject({ active: false })
    expect(await isMember()).toBe(404)
  })

  it('wrote no error while it did', () => {
    expect(lines.filter((line) => /"level":"error"|Uncaught|panicked/i.test(line))).toEqual([])
    expect(lines.some((line) => line.includes('/v1/sso/callback'))).toBe(true)
  })
})
