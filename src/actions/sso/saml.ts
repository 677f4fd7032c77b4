import { readAssertion } from '#src/domain/saml-assertion.ts'
import { authnRequest } from '#src/domain/saml-messages.ts'
import { responseShape, type ResponseShape } from '#src/domain/saml-response.ts'
import { SamlFailure, type SamlPlace } from '#src/domain/saml.ts'
import type { SamlProvider, Vouched } from '#src/domain/sso.ts'
import { attributeOf, parseXml, XmlFailure, type XmlElement } from '#src/domain/xml.ts'
import { goodNow } from './certificates.ts'

/** Loaded by those who come back with an assertion: a Worker starts without it, and a sign-in begins without it. */
const library = () => import('./commonjs.ts')

const mostCharacters = 256 * 1024

/** Where to send the browser: the request goes with the address (HTTP-Redirect), the answer comes in a form (HTTP-POST). */
export async function requestUrl(
  provider: SamlProvider,
  request: { place: SamlPlace; requestId: string; state: string; at: Date },
): Promise<string> {
  const { signInUrl } = provider
  const { place, requestId: id, at, state } = request
  const asked = new TextEncoder().encode(authnRequest({ id, at, signInUrl, place }))
  const packed = new Response(asked).body?.pipeThrough(new CompressionStream('deflate-raw'))
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer())
  const query = new URLSearchParams({ SAMLRequest: toBase64(bytes), RelayState: state })
  return `${signInUrl}${signInUrl.includes('?') ? '&' : '?'}${query.toString()}`
}

/** Whom an answer vouches for. What is read of it is what was signed, byte for byte, and nothing else. */
export async function believe(
  provider: SamlProvider,
  answer: string,
  expected: { place: SamlPlace; requestId: string; now: Date },
): Promise<Vouched> {
  const { place, requestId, now } = expected
  const xml = decoded(answer)
  const shape = responseShape(parsed(xml), place, requestId)
  const pems = goodNow(provider.certificates, now)
  if (pems.length === 0)
    throw new SamlFailure(
      'certificate_expired',
      'Every certificate of the provider is over; give its new one.',
    )
  const signed = await signedText(xml, shape, pems)
  const root = parsed(signed)
  if (attributeOf(root, 'ID') !== shape.assertion.id) throw wrongSignature()
  const person = readAssertion(
    root,
    {
      place,
      requestId,
      issuer: provider.issuer,
      emailAttribute: provider.emailAttribute,
      nameAttribute: provider.nameAttribute,
      groupsAttribute: provider.groupsClaim,
    },
    now,
  )
  // SAML has no word for it: what a provider says of its people's addresses is verified, in the domains that are its tenant's.
  return { ...person, emailVerified: true }
}

const wrongSignature = (cause?: unknown) =>
  new SamlFailure('signature_wrong', 'No certificate of the provider has made this signature.', cause)

/** The assertion as the signature is about it: canonical, without the signature itself. */
async function signedText(xml: string, shape: ResponseShape, pems: string[]): Promise<string> {
  const { parseDomFromString, getVerifiedXml } = await library()
  let signed: string | null
  try {
    const { documentElement } = await parseDomFromString(xml)
    if (shape.isResponseSigned && getVerifiedXml(xml, documentElement, pems) === null) throw wrongSignature()
    const assertion = Array.from(documentElement.childNodes).find(
      ({ localName }) => localName === 'Assertion',
    )
    signed = assertion ? getVerifiedXml(xml, assertion, pems) : null
  } catch (error) {
    throw error instanceof SamlFailure ? error : wrongSignature(error)
  }
  if (signed === null) throw wrongSignature()
  // Once more, without the library: these very bytes have the digest that the signature says.
  const { digest, digestValue } = shape.assertion
  const hash = await crypto.subtle.digest(digest, new TextEncoder().encode(signed))
  if (toBase64(new Uint8Array(hash)) !== digestValue) throw wrongSignature()
  return signed
}

function decoded(answer: string): string {
  const base64 = answer.replaceAll(/[\r\n\t ]/g, '')
  if (base64.length > (mostCharacters * 4) / 3)
    throw new SamlFailure('too_large', `A response may have ${mostCharacters / 1024} KB.`)
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // XML reads every end of a line as LF, and so do all who read this from here on.
    return text.replaceAll(/\r\n?/g, '\n')
  } catch (error) {
    throw new SamlFailure('malformed', 'The response is no base64 of UTF-8.', error)
  }
}

function parsed(xml: string): XmlElement {
  try {
    // What is canonical is a little longer than what came.
    return parseXml(xml, { characters: 2 * mostCharacters })
  } catch (error) {
    if (error instanceof XmlFailure) throw new SamlFailure(error.code, error.message, error)
    throw error
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}
