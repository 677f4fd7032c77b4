import { samlNames, type SamlPlace } from './saml.ts'
import { attributeOf, childrenOf, escapeXml, everyElement, parseXml, textOf, XmlFailure } from './xml.ts'

const { protocol, assertion, metadata, post, redirect, signature, persistent, nameId } = samlNames

/** What asks a provider to sign somebody in and to answer at our address. */
export const authnRequest = (request: {
  id: string
  at: Date
  signInUrl: string
  place: SamlPlace
}): string =>
  `<samlp:AuthnRequest xmlns:samlp="${protocol}" xmlns:saml="${assertion}" ID="${escapeXml(request.id)}" Version="2.0" ` +
  `IssueInstant="${request.at.toISOString()}" Destination="${escapeXml(request.signInUrl)}" ProtocolBinding="${post}" ` +
  `AssertionConsumerServiceURL="${escapeXml(request.place.acsUrl)}">` +
  `<saml:Issuer>${escapeXml(request.place.entityId)}</saml:Issuer><samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>`

/** What a provider is told of us, as the file that its administrators ask for. */
export const serviceProviderMetadata = ({ entityId, acsUrl }: SamlPlace): string =>
  `<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="${metadata}" entityID="${escapeXml(entityId)}">
  <md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="${protocol}">
    <md:NameIDFormat>${persistent}</md:NameIDFormat>
    <md:NameIDFormat>${nameId}:emailAddress</md:NameIDFormat>
    <md:AssertionConsumerService Binding="${post}" Location="${escapeXml(acsUrl)}" index="0" isDefault="true"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
`

export type IdpMetadata = { entityId: string; signInUrl: string; certificates: string[] }

/**
 * Reads what a provider says of itself: who it is, where it takes a request in an address, its certificates for signing. An
 * administrator pasted it, so its own signature is not looked at. Throws an XmlFailure that says what is missing.
 */
export function readIdpMetadata(text: string): IdpMetadata {
  const clean = text
    .replace(/^\uFEFF/, '')
    .replaceAll(/\r\n?/g, '\n')
    .trim()
  const root = parseXml(clean, { comments: true })
  const missing = (what: string) => new XmlFailure('xml_malformed', what)
  const idps = [...everyElement(root)].flatMap((entity) =>
    entity.namespace === metadata && entity.local === 'EntityDescriptor'
      ? childrenOf(entity, metadata, 'IDPSSODescriptor').map((idp) => ({ entity, idp }))
      : [],
  )
  const [found, more] = idps
  if (!found || more)
    throw missing(`The metadata must describe one identity provider (IDPSSODescriptor), not ${idps.length}.`)
  const entityId = attributeOf(found.entity, 'entityID')
  const services = childrenOf(found.idp, metadata, 'SingleSignOnService')
  const service = services.find((one) => attributeOf(one, 'Binding') === redirect)
  const signInUrl = service && attributeOf(service, 'Location')
  if (entityId === undefined) throw missing('The metadata names no entityID.')
  if (signInUrl === undefined)
    throw missing('The metadata names no SingleSignOnService with the binding HTTP-Redirect.')
  const certificates = childrenOf(found.idp, metadata, 'KeyDescriptor')
    .filter((key) => (attributeOf(key, 'use') ?? 'signing') === 'signing')
    .flatMap((key) => [...everyElement(key)])
    .filter(({ namespace, local }) => namespace === signature && local === 'X509Certificate')
    .map((element) => (textOf(element) ?? '').replaceAll(/\s/g, ''))
  if (certificates.length === 0) throw missing('The metadata holds no certificate for signing.')
  return { entityId, signInUrl, certificates: [...new Set(certificates)].map(toPem) }
}

const toPem = (base64: string): string =>
  `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
