import { samlNames, SamlFailure, type SamlPlace } from './saml.ts'
import { attributeOf, childrenOf, everyElement, textOf, type XmlElement } from './xml.ts'

const { protocol, assertion, signature, exclusive, success } = samlNames

/** The algorithms that are believed: SHA-1 is not among them, nor is what needs no key of the provider's. */
const signatureMethods: ReadonlySet<string> = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
])
const digestMethods: ReadonlyMap<string, 'SHA-256' | 'SHA-512'> = new Map([
  ['http://www.w3.org/2001/04/xmlenc#sha256', 'SHA-256'],
  ['http://www.w3.org/2001/04/xmlenc#sha512', 'SHA-512'],
])
const keyInfoParts: ReadonlySet<string> = new Set(
  'KeyInfo KeyName KeyValue RSAKeyValue Modulus Exponent X509Data X509Certificate X509SubjectName X509IssuerSerial X509IssuerName X509SerialNumber X509SKI'.split(
    ' ',
  ),
)
const idPattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,199}$/
const idNames: ReadonlySet<string> = new Set(['id', 'Id', 'ID'])

/** What a signature says of the one element that it is about. */
export type Signed = { id: string; digest: 'SHA-256' | 'SHA-512'; digestValue: string }

/** A response of the one form that is read: where its signatures are and what they say, nothing of it proved yet. */
export type ResponseShape = { assertion: Signed; isResponseSigned: boolean }

/**
 * Refuses every document but a response with one assertion, the assertion signed as a whole and in its own place. What is
 * anywhere else, under whatever name (a second assertion, a second signature, a reference elsewhere, the same id twice),
 * is how one assertion is verified and another believed; so none of it is there when a signature is looked at.
 */
export function responseShape(root: XmlElement, place: SamlPlace, requestId: string): ResponseShape {
  if (!isNamed(root, protocol, 'Response'))
    throw new SamlFailure('no_response', 'The provider sent something else than a response.')
  refuseEncrypted(root)
  const ids = refuseSameIds(root)
  refuseStatus(root)
  refuseOtherWay(root, place, requestId)
  const all = [...everyElement(root)]
  const assertions = all.filter(({ local }) => local === 'Assertion')
  const [only] = assertions
  if (!only || assertions.length > 1 || !root.children.includes(only) || only.namespace !== assertion)
    throw new SamlFailure(
      assertions.length === 0 ? 'no_assertion' : 'several_assertions',
      'The response must hold one assertion, and that at its own place.',
    )
  refuseOthers(root, protocol, ['Status'], assertion, ['Issuer', 'Assertion'])
  refuseOthers(only, assertion, ['Issuer', 'Subject', 'Conditions', 'AuthnStatement', 'AttributeStatement'])
  const signatures = all.filter(({ local }) => local === 'Signature')
  const [own, others] = [signaturesOf(only), signaturesOf(root)]
  if (own.length === 0)
    throw new SamlFailure(
      'assertion_unsigned',
      'The assertion itself is not signed; let the provider sign the assertion, not the response alone.',
    )
  if (own.length > 1 || others.length > 1 || signatures.length !== own.length + others.length)
    throw new SamlFailure('signature_misplaced', 'There are signatures where none may be.')
  for (const one of others) signed(one, root, ids)
  return { assertion: signed(own[0] ?? only, only, ids), isResponseSigned: others.length === 1 }
}

const isNamed = (element: XmlElement, namespace: string, local: string): boolean =>
  element.namespace === namespace && element.local === local

const signaturesOf = (element: XmlElement) => childrenOf(element, signature, 'Signature')

function refuseEncrypted(root: XmlElement): void {
  for (const { local } of everyElement(root))
    if (local.startsWith('Encrypted') || local === 'CipherData')
      throw new SamlFailure(
        'encrypted',
        'The assertion is encrypted, which is not read here; switch encryption off at the provider, TLS is there already.',
      )
}

/** Every id once, whatever it is called; as a signature finds what it is about by its id. */
function refuseSameIds(root: XmlElement): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { attributes } of everyElement(root))
    for (const { local, value } of attributes) {
      if (!idNames.has(local)) continue
      if (!idPattern.test(value)) throw new SamlFailure('bad_id', 'The response has an id that is none.')
      if (ids.has(value)) throw new SamlFailure('duplicate_id', 'The response has the same id twice.')
      ids.add(value)
    }
  return ids
}

/** A refusal by the provider is told as it says it; it is no reason to believe anything. */
function refuseStatus(root: XmlElement): void {
  const [status, more] = childrenOf(root, protocol, 'Status')
  const codes = status ? [...everyElement(status)].filter(({ local }) => local === 'StatusCode') : []
  const values = codes.map((code) => attributeOf(code, 'Value') ?? '')
  if (status && !more && values[0] === success) return
  const word = (values.at(-1) ?? '').replace(/^.*:/, '').replaceAll(/\W/g, '').slice(0, 40)
  throw new SamlFailure(
    'status',
    `The provider did not let them in: ${word === '' ? 'it says no status' : word}.`,
  )
}

/** What the response says of itself is not signed: it can only be a reason to refuse. */
function refuseOtherWay(root: XmlElement, place: SamlPlace, requestId: string): void {
  if (attributeOf(root, 'Version') !== '2.0')
    throw new SamlFailure('bad_version', 'The response is not of SAML 2.0.')
  const [destination, inResponseTo] = [attributeOf(root, 'Destination'), attributeOf(root, 'InResponseTo')]
  if (destination !== undefined && destination !== place.acsUrl)
    throw new SamlFailure('destination_wrong', `The response is for another address than ${place.acsUrl}.`)
  if (inResponseTo === undefined)
    throw new SamlFailure('unsolicited', 'Nobody asked for this response: a sign-in must begin here.')
  if (inResponseTo !== requestId)
    throw new SamlFailure(
      'other_request',
      'The response answers another request than the one of this sign-in.',
    )
}

function refuseOthers(
  element: XmlElement,
  ...known: [string, readonly string[], ...([string, readonly string[]] | [])]
): void {
  const [namespace, locals, second, more] = known
  for (const child of element.children) {
    const isKnown =
      isNamed(child, signature, 'Signature') ||
      (child.namespace === namespace && locals.includes(child.local)) ||
      (child.namespace === second && more?.includes(child.local))
    if (!isKnown)
      throw new SamlFailure('unexpected_element', `The response holds ${child.local} where it is not read.`)
  }
}

/** A signature of exactly the one form, about exactly the element that it stands in. */
function signed(one: XmlElement, parent: XmlElement, ids: ReadonlySet<string>): Signed {
  const [info, value, keyInfo, more] = one.children
  const isWhole =
    info && value && isNamed(info, signature, 'SignedInfo') && isNamed(value, signature, 'SignatureValue')
  if (!isWhole || more || (keyInfo && !isNamed(keyInfo, signature, 'KeyInfo'))) throw oddSignature()
  if (keyInfo)
    for (const { local } of everyElement(keyInfo)) if (!keyInfoParts.has(local)) throw oddSignature()
  const [way, method, reference, another] = info.children
  if (!way || !method || !reference || another || textOf(value) === undefined) throw oddSignature()
  refuseAlgorithm(way, 'CanonicalizationMethod', (name) => name === exclusive)
  refuseAlgorithm(method, 'SignatureMethod', (name) => signatureMethods.has(name))
  const id = attributeOf(parent, 'ID')
  if (!isNamed(reference, signature, 'Reference') || id === undefined || !ids.has(id)) throw oddSignature()
  if (attributeOf(reference, 'URI') !== `#${id}`)
    throw new SamlFailure(
      'reference_refused',
      'A signature is about something else than the element that holds it.',
    )
  const [transforms, digest, digestValue, rest] = reference.children
  if (!transforms || !digest || !digestValue || rest || !isNamed(digestValue, signature, 'DigestValue'))
    throw oddSignature()
  refuseTransforms(transforms)
  refuseAlgorithm(digest, 'DigestMethod', (name) => digestMethods.has(name))
  const [hash, text] = [digestMethods.get(attributeOf(digest, 'Algorithm') ?? ''), textOf(digestValue)]
  if (!hash || text === undefined) throw oddSignature()
  return { id, digest: hash, digestValue: text.replaceAll(/\s/g, '') }
}

/** As a whole and without its signature, and in no other way. */
function refuseTransforms(transforms: XmlElement): void {
  const [whole, form, more] = transforms.children
  if (!isNamed(transforms, signature, 'Transforms') || !whole || !form || more) throw oddSignature()
  refuseAlgorithm(whole, 'Transform', (name) => name === `${signature}enveloped-signature`)
  refuseAlgorithm(form, 'Transform', (name) => name === exclusive, 'InclusiveNamespaces')
}

function refuseAlgorithm(
  element: XmlElement,
  local: string,
  isKnown: (name: string) => boolean,
  mayHold?: string,
): void {
  if (!isNamed(element, signature, local)) throw oddSignature()
  const [child, more] = element.children
  if (more || (child && !(child.local === mayHold && isNamed(child, exclusive, child.local))))
    throw oddSignature()
  if (child && child.children.length > 0) throw oddSignature()
  const name = attributeOf(element, 'Algorithm') ?? ''
  if (!isKnown(name))
    throw new SamlFailure(
      'algorithm_refused',
      `${local} ${name.slice(0, 100) || 'nothing'} is not believed: sign with RSA-SHA256 or RSA-SHA512, digest with SHA-256 or SHA-512, exclusive canonicalization.`,
    )
}

const oddSignature = () =>
  new SamlFailure('signature_odd', 'A signature is not of the form that is read here.')
