import { describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { samlNames, samlPlace } from '#src/domain/saml.ts'
import {
  assertionText,
  responseText,
  right,
  signatureOf,
  withSignature,
  type Around,
  type Said,
  type Signing,
} from '#test/support/saml-forger.ts'
import {
  ada,
  around,
  ask,
  eve,
  other,
  own,
  place,
  refusal,
  requestId,
  response,
  signing,
  wanted,
} from '#test/support/saml-sign-in.ts'

describe('an assertion that is right', () => {
  it('vouches for its person, whose address counts as verified', async () => {
    expect(await ask(response())).toEqual({
      subject: `id-of-${ada}`,
      email: ada,
      emailVerified: true,
      name: undefined,
      groups: ['staff', 'a & b'],
      amr: ['acr:urn:oasis:names:tc:SAML:2.0:ac:classes:Password'],
    })
  })

  it.each<[string, Partial<Signing>]>([
    ['RSA-SHA512', { method: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512', hash: 'sha512' }],
    ['a digest of SHA-512', { digest: 'http://www.w3.org/2001/04/xmlenc#sha512' }],
    [
      'a certificate beside it, which nobody looks at',
      {
        keyInfo:
          '<ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo>',
      },
    ],
  ])('is believed with %s', async (_, how) => {
    expect(await refusal(response({}, how))).toBe(`believed: ${ada}`)
  })

  it('is believed of any of the certificates, so that a provider can change its key', async () => {
    const certificates = [other.pem, own.pem]
    expect(await refusal(response(), { certificates })).toBe(`believed: ${ada}`)
    expect(await refusal(response({}, { key: other.privateKey }), { certificates })).toBe(`believed: ${ada}`)
  })

  it('is believed in a response that is signed too', async () => {
    const text = response()
    expect(await refusal(withSignature(text, signatureOf(text, '_response', signing)))).toBe(
      `believed: ${ada}`,
    )
  })

  it('is believed with its lines ended like on Windows around it', async () => {
    expect(await refusal(response().replaceAll(/<samlp:Status>/g, '\r\n<samlp:Status>\r\n'))).toBe(
      `believed: ${ada}`,
    )
  })

  it('says by the name id who it is, where no attribute does', async () => {
    const named = { nameId: ada, nameIdFormat: `${samlNames.nameId}:emailAddress` }
    expect(await refusal(response(named), { emailAttribute: null })).toBe(`believed: ${ada}`)
    expect(await refusal(response(), { emailAttribute: null })).toBe('believed: undefined')
  })

  it('vouches for several factors where the provider says so', async () => {
    const names = {
      'http://schemas.microsoft.com/claims/authnmethodsreferences': [
        'http://schemas.microsoft.com/claims/multipleauthn',
      ],
    }
    expect((await ask(response({ attributes: { email: [ada], ...names } }))).amr[0]).toBe('mfa')
  })

  it('takes what is written in characters for what it is, not for an element', async () => {
    const nameId = 'x</saml:NameID><saml:NameID>y & <!-- z -->'
    expect((await ask(response({ nameId }))).subject).toBe(nameId)
  })
})

describe('an assertion of the provider’s that is not for this sign-in', () => {
  const past = (ms: number) => new Date(Date.now() - ms)
  const future = (ms: number) => new Date(Date.now() + ms)
  const elsewhere = samlPlace('https://weir.example.com', newId('ssoProvider'))
  const confirmation = (recipient: string) =>
    `<saml:SubjectConfirmation Method="${samlNames.bearer}"><saml:SubjectConfirmationData InResponseTo="${requestId}" NotOnOrAfter="${future(300_000).toISOString()}" Recipient="${recipient}"></saml:SubjectConfirmationData></saml:SubjectConfirmation>`
  it.each<[string, string, Partial<Said>, Partial<Around>]>([
    ['another issuer', 'issuer_wrong', { issuer: 'https://other.example.com' }, {}],
    ['the audience of another provider of ours', 'audience_wrong', { audience: elsewhere.entityId }, {}],
    ['an audience that begins like ours', 'audience_wrong', { audience: `${place.entityId}x` }, {}],
    [
      'a second restriction to another audience',
      'audience_wrong',
      {
        moreConditions:
          '<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>',
      },
      {},
    ],
    ['the address of another provider of ours', 'recipient_wrong', { recipient: elsewhere.acsUrl }, {}],
    ['another destination', 'destination_wrong', {}, { destination: elsewhere.acsUrl }],
    ['another request in the response', 'other_request', {}, { inResponseTo: '_another' }],
    ['another request in the assertion', 'other_request', { inResponseTo: '_another' }, {}],
    ['no request in the response', 'unsolicited', {}, { inResponseTo: undefined }],
    ['no request in the assertion', 'unsolicited', { inResponseTo: undefined }, {}],
    ['a time that is over', 'over', { notOnOrAfter: past(61_000) }, {}],
    ['no time at which it is over', 'no_end', { notOnOrAfter: undefined }, {}],
    ['a time that has not come', 'not_yet', { notBefore: future(120_000) }, {}],
    [
      'a condition that nobody knows',
      'condition_unknown',
      { moreConditions: '<saml:Condition></saml:Condition>' },
      {},
    ],
    ['a second name id', 'malformed', { moreSubject: '<saml:NameID>eve</saml:NameID>' }, {}],
    ['a name id that changes each time', 'transient_name_id', { nameIdFormat: samlNames.transient }, {}],
    ['a name id without end', 'bad_subject', { nameId: 'x'.repeat(256) }, {}],
    ['no name id', 'bad_subject', { nameId: '' }, {}],
    ['two addresses', 'several_addresses', { attributes: { email: [ada, eve] } }, {}],
    [
      'groups that were left out, being too many',
      'too_many_groups',
      { attributes: { email: [ada], 'http://schemas.microsoft.com/claims/groups.link': ['https://graph'] } },
      {},
    ],
    [
      'two addresses in two statements',
      'several_addresses',
      {
        more: `<saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>${eve}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`,
      },
      {},
    ],
    ['a refusal by the provider', 'status', {}, { status: 'urn:oasis:names:tc:SAML:2.0:status:Responder' }],
  ])('is refused: %s', async (_, code, said, outside) => {
    expect(await refusal(response(said, {}, outside))).toBe(code)
  })

  it('is refused without a statement that they signed in, and when that session is over', async () => {
    const text = assertionText(right(wanted, ada))
    const sign = (changed: string) =>
      responseText(withSignature(changed, signatureOf(changed, '_assertion', signing)), around)
    expect(await refusal(sign(text.replace(/<saml:AuthnStatement.*<\/saml:AuthnStatement>/, '')))).toBe(
      'no_authentication',
    )
    const over = text.replace(
      '<saml:AuthnStatement AuthnInstant',
      `<saml:AuthnStatement SessionNotOnOrAfter="${past(120_000).toISOString()}" AuthnInstant`,
    )
    expect(over).not.toBe(text)
    // Canonical: attributes in the order of their names.
    const sorted = over.replace(/(SessionNotOnOrAfter="[^"]*") (AuthnInstant="[^"]*")/, '$2 $1')
    expect(await refusal(sign(sorted))).toBe('over')
  })

  it('is believed a minute around its times, for clocks differ', async () => {
    expect(await refusal(response({ notOnOrAfter: past(50_000) }))).toBe(`believed: ${ada}`)
    expect(await refusal(response({ notBefore: future(50_000) }))).toBe(`believed: ${ada}`)
  })

  it('needs one confirmation that holds whole, not halves of two', async () => {
    expect(
      await refusal(response({ recipient: elsewhere.acsUrl, moreSubject: confirmation(place.acsUrl) })),
    ).toBe(`believed: ${ada}`)
    expect(
      await refusal(response({ recipient: elsewhere.acsUrl, moreSubject: confirmation(elsewhere.acsUrl) })),
    ).toBe('recipient_wrong')
    expect(
      await refusal(response({ inResponseTo: '_another', moreSubject: confirmation(elsewhere.acsUrl) })),
    ).toBe('other_request')
  })
})
