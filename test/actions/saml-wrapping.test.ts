import { describe, expect, it } from 'vitest'
import { believe } from '#src/actions/sso/saml.ts'
import { samlNames } from '#src/domain/saml.ts'
import {
  assertionText,
  base64,
  responseText,
  right,
  signatureOf,
  withSignature,
} from '#test/support/saml-forger.ts'
import {
  ada,
  around,
  eve,
  place,
  provider,
  refusal,
  requestId,
  response,
  signed,
  signing,
  wanted,
} from '#test/support/saml-sign-in.ts'

describe('signature wrapping', () => {
  const real = signed()
  const stripped = real.replace(/<ds:Signature .*<\/ds:Signature>/, '')
  const signature = /<ds:Signature .*<\/ds:Signature>/.exec(real)?.[0] ?? ''
  const evil = assertionText({ ...right(wanted, eve), id: '_evil' })
  const sameId = assertionText(right(wanted, eve))
  const inResponse = (inner: string) => responseText(inner, around)
  /** A response signed as a whole, around what is right. */
  const wholeText = inResponse(real)
  const wholeSignature = signatureOf(wholeText, '_response', signing)
  const evilResponse = (inside: string) =>
    responseText(evil, { ...around, id: '_evilResponse', more: inside })

  it.each<[string, string, () => string]>([
    [
      'XSW1: the right response inside the signature of an evil one, at its end',
      'several_assertions',
      () => evilResponse(wholeSignature.replace('</ds:Signature>', `${wholeText}</ds:Signature>`)),
    ],
    [
      'XSW2: the right response before the signature of an evil one',
      'several_assertions',
      () => evilResponse(wholeText + wholeSignature),
    ],
    ['XSW3: an evil assertion before the right one', 'several_assertions', () => inResponse(evil + real)],
    [
      'XSW4: an evil assertion around the right one',
      'several_assertions',
      () => inResponse(evil.replace('</saml:Assertion>', `${real}</saml:Assertion>`)),
    ],
    [
      'XSW5: an evil assertion with the signature, the right one after it',
      'several_assertions',
      () => inResponse(withSignature(evil, signature) + stripped),
    ],
    [
      'XSW6: the right assertion inside the signature of an evil one',
      'several_assertions',
      () =>
        inResponse(withSignature(evil, signature.replace('</ds:Signature>', `${stripped}</ds:Signature>`))),
    ],
    [
      'XSW7: an evil assertion in extensions',
      'several_assertions',
      () => inResponse(`<samlp:Extensions>${evil}</samlp:Extensions>${real}`),
    ],
    [
      'XSW8: the right assertion in an object of the signature',
      'several_assertions',
      () =>
        inResponse(
          withSignature(
            evil,
            signature.replace('</ds:Signature>', `<ds:Object>${stripped}</ds:Object></ds:Signature>`),
          ),
        ),
    ],
    [
      'the evil assertion with the same id, after the right one',
      'duplicate_id',
      () => inResponse(real + sameId),
    ],
    [
      'the right assertion in the status',
      'several_assertions',
      () =>
        inResponse(withSignature(evil, signature)).replace(
          '</samlp:StatusCode>',
          `</samlp:StatusCode><samlp:StatusDetail>${stripped}</samlp:StatusDetail>`,
        ),
    ],
    [
      'an assertion of no namespace beside it',
      'several_assertions',
      () => inResponse(`<Assertion xmlns="">${evil}</Assertion>${real}`),
    ],
    [
      'an evil assertion under another prefix',
      'several_assertions',
      () => inResponse(real + evil.replaceAll('saml:', 'evil:').replaceAll('xmlns:saml', 'xmlns:evil')),
    ],
    ['two responses in one document', 'xml_malformed', () => inResponse(real) + inResponse(real)],
    ['an assertion without its response', 'no_response', () => real],
  ])('is refused: %s', async (_, code, wrapped) => {
    expect(await refusal(wrapped())).toBe(code)
  })

  it.each<[string, string, string]>([
    ['id', 'duplicate_id', 'id="_assertion"'],
    ['Id', 'duplicate_id', 'Id="_assertion"'],
    ['xml:id', 'duplicate_id', 'xml:id="_assertion"'],
  ])('is refused: the same id again as %s', async (_, code, again) => {
    expect(await refusal(inResponse(real).replace('<samlp:Status>', `<samlp:Status ${again}>`))).toBe(code)
  })
})

describe('XML that could be read in two ways', () => {
  it.each<[string, string, (xml: string) => string]>([
    ['a document type', 'xml_forbidden', (xml) => `<!DOCTYPE x>${xml}`],
    [
      'entities of its own',
      'xml_forbidden',
      (xml) => `<!DOCTYPE x [<!ENTITY e "eve">]>${xml.replace(ada, '&e;')}`,
    ],
    [
      'an outer entity',
      'xml_forbidden',
      (xml) => `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${xml.replace(ada, '&e;')}`,
    ],
    [
      'a billion laughs',
      'xml_forbidden',
      (xml) => `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>${xml}`,
    ],
    ['an entity that is declared nowhere', 'xml_forbidden', (xml) => xml.replace(ada, 'a&nbsp;b')],
    [
      'a comment that cuts the address',
      'xml_forbidden',
      (xml) => xml.replace(`>${ada}<`, `>${ada}<!-- -->.evil.example<`),
    ],
    [
      'a comment that cuts the name id',
      'xml_forbidden',
      (xml) => xml.replace(`>id-of-${ada}<`, `>id-of-${ada}<!---->x<`),
    ],
    [
      'a comment anywhere',
      'xml_forbidden',
      (xml) => xml.replace('<samlp:Status>', '<!-- hello --><samlp:Status>'),
    ],
    ['a CDATA section', 'xml_forbidden', (xml) => xml.replace(`>${ada}<`, `><![CDATA[${ada}]]><`)],
    [
      'a processing instruction',
      'xml_forbidden',
      (xml) => xml.replace('<samlp:Status>', '<?x y?><samlp:Status>'),
    ],
    ['another encoding', 'xml_forbidden', (xml) => `<?xml version="1.0" encoding="UTF-16"?>${xml}`],
    ['XML 1.1', 'xml_forbidden', (xml) => `<?xml version="1.1"?>${xml}`],
    [
      'an attribute twice',
      'xml_malformed',
      (xml) => xml.replace('Version="2.0"', 'Version="2.0" Version="2.0"'),
    ],
    [
      'a prefix that is declared nowhere',
      'xml_malformed',
      (xml) => xml.replace('<samlp:Status>', '<evil:x></evil:x><samlp:Status>'),
    ],
    ['an element that is not closed', 'xml_malformed', (xml) => xml.slice(0, -5)],
    ['text after the end', 'xml_malformed', (xml) => `${xml}x`],
    ['a character that XML does not know', 'xml_malformed', (xml) => xml.replace(ada, 'a&#0;b')],
    ['half a character', 'malformed', () => '\uD800'],
    [
      'nesting without end',
      'too_large',
      (xml) => xml.replace('<samlp:Status>', `${'<x>'.repeat(500)}${'</x>'.repeat(500)}<samlp:Status>`),
    ],
    [
      'elements without end',
      'too_large',
      (xml) => xml.replace('<samlp:Status>', `${'<x/>'.repeat(20_000)}<samlp:Status>`),
    ],
    ['a megabyte', 'too_large', (xml) => xml.replace(ada, 'a'.repeat(1024 * 1024))],
    [
      'an encrypted assertion',
      'encrypted',
      (xml) =>
        xml.replace(
          /<saml:Assertion.*<\/saml:Assertion>/,
          `<saml:EncryptedAssertion xmlns:saml="${samlNames.assertion}"></saml:EncryptedAssertion>`,
        ),
    ],
    ['an encrypted name id', 'encrypted', (xml) => xml.replaceAll('saml:NameID', 'saml:EncryptedID')],
    [
      'an advice',
      'unexpected_element',
      (xml) => xml.replace('<saml:AuthnStatement', '<saml:Advice></saml:Advice><saml:AuthnStatement'),
    ],
    [
      'an element of its own in the response',
      'unexpected_element',
      (xml) => xml.replace('<samlp:Status>', '<x></x><samlp:Status>'),
    ],
    ['nothing', 'xml_malformed', () => ''],
    ['JSON', 'xml_malformed', () => '{"email":"eve"}'],
  ])('is refused: %s', async (what, code, change) => {
    const xml = change(response())
    const answer = what === 'half a character' ? Buffer.from([0xff, 0xfe]).toString('base64') : base64(xml)
    const said = await believe(provider, answer, { place, requestId, now: new Date() }).then(
      ({ email }) => `believed: ${email}`,
      (error: { code: string }) => error.code,
    )
    expect(said).toBe(code)
  })

  it('is refused: what is no base64', async () => {
    const asked = believe(provider, '<>', { place, requestId, now: new Date() })
    await expect(asked).rejects.toMatchObject({ code: 'malformed' })
  })
})
