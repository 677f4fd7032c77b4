import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificate } from '#test/support/certificate.ts'
import { samlIdp } from '#test/support/saml-provider.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'
import type { Tenant } from '#test/support/world.ts'

let here: SsoWorld
let acme: Tenant
beforeAll(async () => {
  here = await ssoWorld()
  acme = await here.tenant()
})
afterAll(() => here.close())

const day = 24 * 60 * 60 * 1000
const idp = samlIdp()
const good = certificate('first')
const next = certificate('second', { keys: good })
const soon = certificate('soon', { keys: good, until: new Date(Date.now() + 10 * day) })
const later = certificate('later', { keys: good, from: new Date(Date.now() + day) })
const over = certificate('over', { keys: good, until: new Date(Date.now() - 1_000) })
const base = () => ({
  kind: 'saml',
  name: crypto.randomUUID(),
  entityId: 'urn:acme:idp',
  signInUrl: 'https://idp.example.com/sso',
  certificates: [good.pem],
})
const make = (body: object) => acme.fetch('/v1/sso/providers', { method: 'POST', body })
const json = async <T>(answer: Response) => (await answer.json()) as T
type Made = { id: string; certificates: { subject: string; notAfter: string; fingerprint: string }[] }
type Refused = { fields: { path: string; message: string }[] }
const made = async (more: object = {}) => json<Made>(await make({ ...base(), ...more }))
const change = (id: string, body: object) =>
  acme.fetch(`/v1/sso/providers/${id}`, { method: 'PATCH', body, headers: { 'If-Match': '*' } })

describe('a provider of SAML', () => {
  it('is made field by field, and says what the provider must be told', async () => {
    const provider = await made({ groupsAttribute: 'groups', emailAttribute: 'mail' })
    const at = `${here.url}/v1/sso/providers/${provider.id}`
    expect(provider).toMatchObject({
      kind: 'saml',
      entityId: 'urn:acme:idp',
      groupsAttribute: 'groups',
      emailAttribute: 'mail',
      certificates: [{ pem: good.pem, subject: 'CN=first' }],
      serviceProvider: { entityId: `${at}/metadata`, acsUrl: `${at}/acs` },
    })
    expect(provider.certificates[0]?.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    expect(provider).not.toHaveProperty('clientId')
    expect(await json(await acme.fetch(`/v1/sso/providers/${provider.id}`))).toEqual(provider)
  })

  it('is made from the provider’s own metadata, and what is said beside it counts', async () => {
    const body = { kind: 'saml', name: crypto.randomUUID(), metadata: idp.metadata }
    expect(await json(await make(body))).toMatchObject({
      entityId: idp.entityId,
      signInUrl: 'https://idp.example.com/sso?tenant=acme',
      certificates: [{ pem: idp.keys.pem }],
    })
    const said = { ...body, name: crypto.randomUUID(), entityId: 'urn:other', certificates: [good.pem] }
    expect(await json(await make(said))).toMatchObject({
      entityId: 'urn:other',
      signInUrl: 'https://idp.example.com/sso?tenant=acme',
      certificates: [{ pem: good.pem }],
    })
  })

  it('takes of metadata the certificates that are not over', async () => {
    const inside = (pem: string) => pem.replaceAll(/-----.*-----|\n/g, '')
    const descriptor = /<KeyDescriptor.*<\/KeyDescriptor>/.exec(idp.metadata)?.[0] ?? ''
    const listing = (...pems: string[]) =>
      idp.metadata.replace(
        descriptor,
        pems.map((pem) => descriptor.replace(inside(idp.keys.pem), inside(pem))).join(''),
      )
    const body = () => ({ kind: 'saml', name: crypto.randomUUID() })
    const taken = await json<Made>(await make({ ...body(), metadata: listing(over.pem, good.pem, next.pem) }))
    expect(taken.certificates.map(({ subject }) => subject)).toEqual(['CN=first', 'CN=second'])
    const none = await make({ ...body(), metadata: listing(over.pem) })
    expect((await json<Refused>(none)).fields[0]).toEqual({
      path: 'metadata',
      message: 'holds no certificate that is not over',
    })
    const four = await make({ ...body(), metadata: listing(good.pem, next.pem, soon.pem, later.pem) })
    expect((await json<Refused>(four)).fields[0]?.message).toContain('holds 4 certificates')
  })

  it('changes its certificates, when it has a new one, and keeps everything else', async () => {
    const { id } = await made({ roleMap: [{ group: 'a', role: 'viewer' }] })
    const changed = await json<Made>(await change(id, { certificates: [good.pem, next.pem] }))
    expect(changed.certificates.map(({ subject }) => subject)).toEqual(['CN=first', 'CN=second'])
    expect(changed).toMatchObject({ entityId: 'urn:acme:idp', roleMap: [{ group: 'a', role: 'viewer' }] })
    const named = await json(await change(id, { name: 'renamed', nameAttribute: 'cn', groupsAttribute: 'g' }))
    expect(named).toMatchObject({ name: 'renamed', nameAttribute: 'cn', groupsAttribute: 'g' })
    expect(named).toMatchObject({ certificates: changed.certificates })
    const fromMetadata = await json(await change(id, { metadata: idp.metadata }))
    expect(fromMetadata).toMatchObject({ entityId: idp.entityId, certificates: [{ pem: idp.keys.pem }] })
  })

  it('stays what it is: fields of the other kind are refused', async () => {
    const { id } = await made()
    expect((await json<Refused>(await change(id, { clientSecret: 'x' }))).fields[0]?.path).toBe(
      'clientSecret',
    )
    const oidc = await here.provider(acme, {
      issuer: 'http://127.0.0.1:9',
      clientId: 'x',
      clientAuth: 'none',
    })
    const answer = await change(oidc, { certificates: [good.pem] })
    expect(answer.status).toBe(422)
    expect((await json<Refused>(answer)).fields[0]?.path).toBe('certificates')
    expect((await change(id, { kind: 'oidc' })).status).toBe(422)
    expect((await make({ ...base(), clientId: 'x' })).status).toBe(422)
    expect((await make({ ...base(), kind: 'ldap' })).status).toBe(422)
  })

  it('is checked without asking anybody: by its certificates', async () => {
    const check = async (id: string) =>
      json<{ ok: boolean; warnings?: string[] }>(
        await acme.fetch(`/v1/sso/providers/${id}/check`, { method: 'POST' }),
      )
    expect(await check((await made()).id)).not.toHaveProperty('warnings')
    const { id } = await made({ certificates: [soon.pem, later.pem] })
    expect(await check(id)).toMatchObject({
      ok: true,
      warnings: [
        `The certificate CN=soon is good until ${soon.until}.`,
        `The certificate CN=later is good from ${later.from}.`,
      ],
    })
    const notYet = await made({ certificates: [later.pem] })
    expect(await check(notYet.id)).toMatchObject({ ok: false, code: 'certificate_expired' })
  })
})

const weak = certificate('weak', { bits: 1024 })
const curve = certificate('curve', { kind: 'ec' })
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const entity = /entityID="[^"]*"/
const redirect = 'bindings:HTTP-Redirect'

describe('what is refused of a provider of SAML', () => {
  it.each<[string, string, RegExp, object]>([
    [
      'a key of 1024 bits',
      'certificates[0]',
      /1024 bits, and 2048 are the least/,
      { certificates: [weak.pem] },
    ],
    ['a key that is no RSA key', 'certificates[0]', /must hold an RSA key/, { certificates: [curve.pem] }],
    [
      'a certificate that is over',
      'certificates[1]',
      /is over since/,
      { certificates: [good.pem, over.pem] },
    ],
    ['the same certificate twice', 'certificates', /must differ/, { certificates: [good.pem, good.pem] }],
    [
      'two certificates in one text',
      'certificates[0]',
      /must be one certificate/,
      { certificates: [good.pem + next.pem] },
    ],
    [
      'a private key',
      'certificates[0]',
      /must be one certificate/,
      { certificates: [privateKey.export({ type: 'pkcs8', format: 'pem' })] },
    ],
    ['something else', 'certificates[0]', /must be one certificate/, { certificates: ['hello'] }],
    [
      'a certificate that is none inside',
      'certificates[0]',
      /is not a certificate/,
      { certificates: ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'] },
    ],
    ['no certificate', 'certificates', /are needed/, { certificates: undefined }],
    ['four certificates', 'certificates', /./, { certificates: [good.pem, next.pem, soon.pem, later.pem] }],
    ['no address to sign in at', 'signInUrl', /is needed/, { signInUrl: undefined }],
    ['an address that is script', 'signInUrl', /./, { signInUrl: 'javascript:alert(1)' }],
    [
      'an address with a password',
      'signInUrl',
      /user or a password/,
      { signInUrl: 'https://a:b@idp.example.com' },
    ],
    ['an address with a fragment', 'signInUrl', /fragment/, { signInUrl: 'https://idp.example.com/#x' }],
    ['no entity id', 'entityId', /is needed/, { entityId: undefined }],
    ['an entity id with a space', 'entityId', /without spaces/, { entityId: 'a b' }],
    ['an owner by a group', 'roleMap', /./, { roleMap: [{ group: 'x', role: 'owner' }] }],
    ['metadata that is no XML', 'metadata', /outside the document/, { metadata: 'hello' }],
    [
      'metadata with a document type',
      'metadata',
      /a document type or an entity/,
      { metadata: `<!DOCTYPE x>${idp.metadata}` },
    ],
    [
      'metadata of a service',
      'metadata',
      /one identity provider/,
      { metadata: idp.metadata.replaceAll('IDPSSODescriptor', 'SPSSODescriptor') },
    ],
    ['metadata without a name', 'metadata', /no entityID/, { metadata: idp.metadata.replace(entity, '') }],
    [
      'metadata that takes forms alone',
      'metadata',
      /HTTP-Redirect/,
      { metadata: idp.metadata.replaceAll(redirect, 'bindings:SOAP') },
    ],
    [
      'metadata without certificates',
      'metadata',
      /no certificate for signing/,
      { metadata: idp.metadata.replace('use="signing"', 'use="encryption"') },
    ],
    [
      'metadata with a weak certificate',
      'metadata',
      /1024 bits/,
      {
        certificates: undefined,
        metadata: idp.metadata.replace(
          /(X509Certificate>)[^<]*/,
          `$1${weak.pem.replaceAll(/-----.*-----/g, '')}`,
        ),
      },
    ],
    [
      'metadata with an address that is script',
      'metadata',
      /./,
      {
        signInUrl: undefined,
        metadata: idp.metadata.replaceAll(/Location="[^"]*"/g, 'Location="javascript:alert(1)"'),
      },
    ],
  ])('says so: %s', async (_, path, words, wrong) => {
    const answer = await make({ ...base(), ...wrong })
    expect(answer.status).toBe(422)
    const [field] = (await json<Refused>(answer)).fields
    expect(field?.path.startsWith(path)).toBe(true)
    expect(field?.message).toMatch(words)
  })

  it('is an address that is not public or not encrypted, where addresses are public', async () => {
    const strict = await ssoWorld({ ALLOW_PRIVATE_HOSTS: 'false' })
    const tenant = await strict.tenant()
    for (const signInUrl of [
      'http://idp.example.com/sso',
      'https://10.0.0.1/sso',
      'https://idp.internal/sso',
    ]) {
      const answer = await tenant.fetch('/v1/sso/providers', {
        method: 'POST',
        body: { ...base(), signInUrl },
      })
      expect(answer.status).toBe(422)
      expect((await json<Refused>(answer)).fields[0]?.path).toBe('signInUrl')
    }
    await strict.close()
  })
})
