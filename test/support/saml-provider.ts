import * as samlify from 'samlify'
import { samlNames } from '#src/domain/saml.ts'
import { certificate, type TestCertificate } from './certificate.ts'

export type SamlUser = { id: string; email: string; name?: string; group?: string }
/** What the browser posts from the provider's page. */
export type SamlForm = { acs: string; fields: { SAMLResponse: string; RelayState: string } }

/** A real identity provider: samlify, unmodified. It knows of us what our metadata says. */
export type SamlIdp = {
  entityId: string
  keys: TestCertificate
  /** As its administrators would copy it. */
  metadata: string
  /** What it makes of an address that a browser was sent to, for somebody who has signed in there. */
  answer(authorizationUrl: string, spMetadata: string, user: SamlUser): Promise<SamlForm>
}

const signInUrl = 'https://idp.example.com/sso?tenant=acme'
const attribute = (name: string, tag: string) => ({
  name,
  valueTag: tag,
  nameFormat: 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
  valueXsiType: 'xs:string',
})

// The schema validators that it can be given need Java or a download; what it is sent is checked by parsing it.
samlify.setSchemaValidator({ validate: () => Promise.resolve('skipped') })

export function samlIdp(signsResponse = false): SamlIdp {
  const entityId = `https://idp.example.com/${crypto.randomUUID()}`
  const keys = certificate('samlify')
  const idp = samlify.IdentityProvider({
    entityID: entityId,
    signingCert: keys.pem,
    privateKey: keys.privatePem,
    isAssertionEncrypted: false,
    messageSigningOrder: 'sign-then-encrypt',
    requestSignatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    nameIDFormat: [samlNames.persistent],
    singleSignOnService: [
      { Binding: samlNames.post, Location: 'https://idp.example.com/post' },
      { Binding: samlNames.redirect, Location: signInUrl },
    ],
    singleLogoutService: [{ Binding: samlNames.redirect, Location: 'https://idp.example.com/bye' }],
    loginResponseTemplate: {
      context: samlify.SamlLib.defaultLoginResponseTemplate.context,
      attributes: [
        attribute('mail', 'email'),
        attribute('displayName', 'name'),
        attribute('groups', 'group'),
      ],
    },
  })
  return {
    entityId,
    keys,
    metadata: idp.getMetadata(),
    async answer(authorizationUrl, spMetadata, user) {
      const { searchParams } = new URL(authorizationUrl)
      const sp = samlify.ServiceProvider({ metadata: spMetadata, wantMessageSigned: signsResponse })
      const query = { SAMLRequest: searchParams.get('SAMLRequest') ?? '' }
      const asked = await idp.parseLoginRequest(sp, 'redirect', { query })
      const { request } = asked.extract as { request: { id: string } }
      const acs = sp.entityMeta.getAssertionConsumerService('post')
      if (typeof acs !== 'string') throw new Error('the metadata names no address for answers')
      const now = Date.now()
      const tags = {
        ID: `_${crypto.randomUUID()}`,
        AssertionID: `_${crypto.randomUUID()}`,
        Destination: acs,
        Audience: sp.entityMeta.getEntityID(),
        SubjectRecipient: acs,
        NameIDFormat: samlNames.persistent,
        NameID: user.id,
        Issuer: entityId,
        IssueInstant: new Date(now).toISOString(),
        ConditionsNotBefore: new Date(now - 5_000).toISOString(),
        ConditionsNotOnOrAfter: new Date(now + 300_000).toISOString(),
        SubjectConfirmationDataNotOnOrAfter: new Date(now + 300_000).toISOString(),
        InResponseTo: request.id,
        StatusCode: samlNames.success,
        AuthnStatement: `<saml:AuthnStatement AuthnInstant="${new Date(now).toISOString()}"><saml:AuthnContext><saml:AuthnContextClassRef>https://refeds.org/profile/mfa</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`,
        attrEmail: user.email,
        attrName: user.name ?? '',
        attrGroup: user.group ?? '',
      }
      const made = await idp.createLoginResponse(
        sp,
        { extract: asked.extract },
        'post',
        user,
        (template: string) => ({
          id: tags.ID,
          context: samlify.SamlLib.replaceTagsByValue(
            template.replace('{AuthnStatement}', tags.AuthnStatement),
            tags,
          ),
        }),
      )
      return {
        acs,
        fields: { SAMLResponse: made.context, RelayState: searchParams.get('RelayState') ?? '' },
      }
    },
  }
}

/** Posts it as the provider's page makes the browser do it: from another site, where our cookie does not come along. */
export const postForm = (
  form: SamlForm,
  fields: Readonly<Record<string, string>> = form.fields,
): Promise<Response> =>
  fetch(form.acs, {
    method: 'POST',
    redirect: 'manual',
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      Origin: 'https://idp.example.com',
      'Sec-Fetch-Site': 'cross-site',
      'Sec-Fetch-Mode': 'navigate',
    },
    body: new URLSearchParams(fields).toString(),
  })
