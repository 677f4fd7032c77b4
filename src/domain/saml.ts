/** The names of SAML 2.0 and of signatures in XML, as far as they are used here. */
export const samlNames = {
  protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
  assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
  metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
  signature: 'http://www.w3.org/2000/09/xmldsig#',
  exclusive: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  post: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
  redirect: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
  bearer: 'urn:oasis:names:tc:SAML:2.0:cm:bearer',
  success: 'urn:oasis:names:tc:SAML:2.0:status:Success',
  nameId: 'urn:oasis:names:tc:SAML:1.1:nameid-format',
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  transient: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
} as const

/** What a provider answered wrong, in words for its tenant's log. */
export class SamlFailure extends Error {
  override readonly name = 'SamlFailure'
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.code = code
  }
}

/** Where a provider finds us: who we are to it, and where its answers go. Both are of this provider alone. */
export type SamlPlace = { entityId: string; acsUrl: string }

export function samlPlace(publicUrl: string, providerId: string): SamlPlace {
  const at = (path: string) => new URL(`/v1/sso/providers/${providerId}/${path}`, publicUrl).href
  return { entityId: at('metadata'), acsUrl: at('acs') }
}
