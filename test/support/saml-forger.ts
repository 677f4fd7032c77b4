import { createHash, createSign, type KeyObject } from 'node:crypto'
import { samlNames } from '#src/domain/saml.ts'

const { protocol, assertion, signature: ds, exclusive, bearer, success, persistent } = samlNames

/** What an assertion says; all of it can be said wrong. */
export type Said = {
  id: string
  issuer: string
  audience: string
  recipient: string
  inResponseTo: string | undefined
  notBefore: Date | undefined
  notOnOrAfter: Date | undefined
  nameId: string
  nameIdFormat: string
  attributes: Readonly<Record<string, readonly string[]>>
  /** Put at the end of the assertion, of its conditions and of its subject. */
  more: string
  moreConditions: string
  moreSubject: string
}
export type Signing = {
  key: KeyObject
  method?: string
  digest?: string
  hash?: string
  keyInfo?: string
  transforms?: string
}

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const at = (date: Date) => date.toISOString()
const algorithm = (name: string, uri: string, inside = '') =>
  `<ds:${name} Algorithm="${uri}">${inside}</ds:${name}>`

/** Written as canonicalization would write it, so that no canonicalization is needed to sign it. */
export function assertionText(said: Said): string {
  const { notBefore, notOnOrAfter, inResponseTo } = said
  const until = notOnOrAfter === undefined ? '' : ` NotOnOrAfter="${at(notOnOrAfter)}"`
  const attributes = Object.entries(said.attributes).map(
    ([name, values]) =>
      `<saml:Attribute Name="${name}">${values.map((value) => `<saml:AttributeValue>${escape(value)}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
  )
  return [
    `<saml:Assertion xmlns:saml="${assertion}" ID="${said.id}" IssueInstant="${at(new Date())}" Version="2.0">`,
    `<saml:Issuer>${escape(said.issuer)}</saml:Issuer>`,
    `<saml:Subject><saml:NameID Format="${said.nameIdFormat}">${escape(said.nameId)}</saml:NameID>`,
    `<saml:SubjectConfirmation Method="${bearer}"><saml:SubjectConfirmationData${
      inResponseTo === undefined ? '' : ` InResponseTo="${inResponseTo}"`
    }${until} Recipient="${said.recipient}"></saml:SubjectConfirmationData></saml:SubjectConfirmation>${said.moreSubject}</saml:Subject>`,
    `<saml:Conditions${notBefore === undefined ? '' : ` NotBefore="${at(notBefore)}"`}${until}>`,
    `<saml:AudienceRestriction><saml:Audience>${said.audience}</saml:Audience></saml:AudienceRestriction>${said.moreConditions}</saml:Conditions>`,
    `<saml:AuthnStatement AuthnInstant="${at(new Date())}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`,
    attributes.length === 0
      ? ''
      : `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`,
    `${said.more}</saml:Assertion>`,
  ].join('')
}

/** The signature of an element, of its canonical text and its id. */
export function signatureOf(canonical: string, id: string, signing: Signing): string {
  const method = signing.method ?? 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
  const digest = signing.digest ?? 'http://www.w3.org/2001/04/xmlenc#sha256'
  const hash = signing.hash ?? 'sha256'
  const transforms =
    signing.transforms ??
    algorithm('Transform', `${ds}enveloped-signature`) + algorithm('Transform', exclusive)
  const digestValue = createHash(
    digest.endsWith('sha512') ? 'sha512' : digest.endsWith('sha1') ? 'sha1' : 'sha256',
  )
    .update(canonical)
    .digest('base64')
  const info = (names: string) =>
    `<ds:SignedInfo${names}>${algorithm('CanonicalizationMethod', exclusive)}${algorithm('SignatureMethod', method)}` +
    `<ds:Reference URI="#${id}"><ds:Transforms>${transforms}</ds:Transforms>${algorithm('DigestMethod', digest)}` +
    `<ds:DigestValue>${digestValue}</ds:DigestValue></ds:Reference></ds:SignedInfo>`
  const value = createSign(hash)
    .update(info(` xmlns:ds="${ds}"`))
    .sign(signing.key, 'base64')
  return `<ds:Signature xmlns:ds="${ds}">${info('')}<ds:SignatureValue>${value}</ds:SignatureValue>${signing.keyInfo ?? ''}</ds:Signature>`
}

/** Puts a signature where it belongs: after the element's own issuer. */
export const withSignature = (element: string, signature: string): string =>
  element.replace('</saml:Issuer>', (end) => end + signature)

export type Around = {
  id?: string
  destination?: string
  inResponseTo?: string | undefined
  status?: string
  more?: string
}

/** A response around whatever it is given; canonical too, so that it can be signed. */
export function responseText(
  inner: string,
  { id = '_response', destination, inResponseTo, status = success, more = '' }: Around,
): string {
  return (
    `<samlp:Response xmlns:samlp="${protocol}"${destination === undefined ? '' : ` Destination="${destination}"`} ID="${id}"` +
    `${inResponseTo === undefined ? '' : ` InResponseTo="${inResponseTo}"`} IssueInstant="${at(new Date())}" Version="2.0">` +
    `<saml:Issuer xmlns:saml="${assertion}">idp</saml:Issuer>${more}` +
    `<samlp:Status><samlp:StatusCode Value="${status}"></samlp:StatusCode></samlp:Status>${inner}</samlp:Response>`
  )
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** An assertion that is right in everything, for somebody. */
export const right = (
  wanted: { entityId: string; acsUrl: string; requestId: string; issuer: string },
  email: string,
): Said => ({
  id: '_assertion',
  issuer: wanted.issuer,
  audience: wanted.entityId,
  recipient: wanted.acsUrl,
  inResponseTo: wanted.requestId,
  notBefore: new Date(Date.now() - 60_000),
  notOnOrAfter: new Date(Date.now() + 300_000),
  nameId: `id-of-${email}`,
  nameIdFormat: persistent,
  attributes: { email: [email], groups: ['staff', 'a & b'] },
  more: '',
  moreConditions: '',
  moreSubject: '',
})
