import { describe, expect, it } from 'vitest'
import { samlNames } from '#src/domain/saml.ts'
import { certificate } from '#test/support/certificate.ts'
import { assertionText, responseText, right, signatureOf, withSignature } from '#test/support/saml-forger.ts'
import {
  ada,
  around,
  eve,
  issuer,
  other,
  own,
  refusal,
  response,
  signing,
  wanted,
} from '#test/support/saml-sign-in.ts'

describe('what is signed wrong', () => {
  const unsigned = assertionText(right(wanted, ada))
  it.each<[string, string, () => string]>([
    ['nothing is signed', 'assertion_unsigned', () => responseText(unsigned, around)],
    ['another key signed', 'signature_wrong', () => response({}, { key: other.privateKey })],
    [
      'another key signed and sent its certificate along',
      'signature_wrong',
      () =>
        response(
          {},
          {
            key: other.privateKey,
            keyInfo: `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${other.pem.replaceAll(/-----.*-----|\n/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`,
          },
        ),
    ],
    [
      'the address was changed afterwards',
      'signature_wrong',
      () => response().replace(`>${ada}<`, `>${eve}<`),
    ],
    ['the issuer was changed afterwards', 'signature_wrong', () => response().replace(issuer, `${issuer}x`)],
    [
      'the signature is of other bytes',
      'signature_wrong',
      () => response().replace(/(<ds:SignatureValue>).{8}/, '$1AAAAAAAA'),
    ],
    [
      'the digest is another',
      'signature_wrong',
      () => response().replace(/(<ds:DigestValue>).{8}/, '$1AAAAAAAA'),
    ],
    [
      'only the response is signed',
      'assertion_unsigned',
      () => {
        const text = responseText(unsigned, around)
        return text.replace('</saml:Issuer>', (end) => end + signatureOf(text, '_response', signing))
      },
    ],
    [
      'the response is signed by another key',
      'signature_wrong',
      () => {
        const text = response()
        return withSignature(text, signatureOf(text, '_response', { key: other.privateKey }))
      },
    ],
    [
      'the response was changed after it was signed',
      'signature_wrong',
      () => {
        const text = response()
        return withSignature(text, signatureOf(text, '_response', signing)).replace(
          'IssueInstant="20',
          'IssueInstant="19',
        )
      },
    ],
    [
      'SHA-1 signed',
      'algorithm_refused',
      () => response({}, { method: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1', hash: 'sha1' }),
    ],
    [
      'SHA-1 digested',
      'algorithm_refused',
      () => response({}, { digest: 'http://www.w3.org/2000/09/xmldsig#sha1' }),
    ],
    [
      'HMAC under the public certificate',
      'algorithm_refused',
      () => response({}, { method: 'http://www.w3.org/2000/09/xmldsig#hmac-sha1' }),
    ],
    ['an algorithm that nobody knows', 'algorithm_refused', () => response({}, { method: 'none' })],
    [
      'another transform',
      'algorithm_refused',
      () =>
        response(
          {},
          {
            transforms: `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"></ds:Transform><ds:Transform Algorithm="${samlNames.exclusive}"></ds:Transform>`,
          },
        ),
    ],
    ['no transform', 'signature_odd', () => response({}, { transforms: '' })],
    [
      'a reference to the whole document',
      'reference_refused',
      () => response().replace('URI="#_assertion"', 'URI=""'),
    ],
    [
      'a reference elsewhere',
      'reference_refused',
      () => response().replace('URI="#_assertion"', 'URI="#_response"'),
    ],
    [
      'a reference by XPath',
      'reference_refused',
      () => response().replace('URI="#_assertion"', `URI="#xpointer(id('_assertion'))"`),
    ],
    [
      'two references',
      'signature_odd',
      () => response().replace(/(<ds:Reference.*?<\/ds:Reference>)/, '$1$1'),
    ],
    [
      'two values of the digest',
      'signature_odd',
      () => response().replace(/(<ds:DigestValue>.*?<\/ds:DigestValue>)/, '$1$1'),
    ],
    [
      'two SignedInfos',
      'signature_odd',
      () => response().replace(/(<ds:SignedInfo>.*?<\/ds:SignedInfo>)/, '$1$1'),
    ],
    [
      'a comment in the digest (CVE-2025-29775)',
      'xml_forbidden',
      () => response().replace('<ds:DigestValue>', '<ds:DigestValue><!--x-->'),
    ],
    [
      'a signature twice',
      'signature_misplaced',
      () => response().replace(/(<ds:Signature .*<\/ds:Signature>)/, '$1$1'),
    ],
    [
      'a SignatureMethod hidden in KeyInfo',
      'signature_odd',
      () =>
        response(
          {},
          { keyInfo: '<ds:KeyInfo><ds:SignatureMethod Algorithm="x"></ds:SignatureMethod></ds:KeyInfo>' },
        ),
    ],
  ])('is refused: %s', async (_, code, forged) => {
    expect(await refusal(forged())).toBe(code)
  })

  it('is refused: a certificate that is over, even with a right signature', async () => {
    const over = certificate('over', { keys: own, until: new Date(Date.now() - 1_000) })
    expect(await refusal(response(), { certificates: [over.pem] })).toBe('certificate_expired')
  })
})
