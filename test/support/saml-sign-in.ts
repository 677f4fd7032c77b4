import { believe } from '#src/actions/sso/saml.ts'
import { newId } from '#src/domain/id.ts'
import { samlPlace } from '#src/domain/saml.ts'
import type { SamlProvider } from '#src/domain/sso.ts'
import { certificate } from './certificate.ts'
import {
  assertionText,
  base64,
  responseText,
  right,
  signatureOf,
  withSignature,
  type Around,
  type Said,
  type Signing,
} from './saml-forger.ts'

export const own = certificate('the provider')
export const other = certificate('somebody else')
export const issuer = 'https://idp.example.com/metadata'
const id = newId('ssoProvider')
export const place = samlPlace('https://weir.example.com', id)
export const requestId = '_0123456789abcdef'
export const wanted = { ...place, requestId, issuer }
export const ada = 'ada@acme.example.com'
export const eve = 'eve@acme.example.com'
export const around: Around = { destination: place.acsUrl, inResponseTo: requestId }

export const provider: SamlProvider = {
  id,
  kind: 'saml',
  name: 'idp',
  issuer,
  signInUrl: 'https://idp.example.com/sso',
  certificates: [own.pem],
  emailAttribute: 'email',
  nameAttribute: null,
  groupsClaim: 'groups',
  roleMap: [],
  defaultRole: null,
  jit: true,
  version: 1,
  createdAt: new Date(),
  updatedAt: new Date(),
}

export const ask = (xml: string, change: Partial<SamlProvider> = {}, now = new Date()) =>
  believe({ ...provider, ...change }, base64(xml), { place, requestId, now })
/** The code with which it is refused. */
export const refusal = async (xml: string, change: Partial<SamlProvider> = {}) =>
  ask(xml, change).then(
    ({ email }) => `believed: ${email}`,
    (error: { code?: string; message: string }) => error.code ?? error.message,
  )

export const signing: Signing = { key: own.privateKey }
export const signed = (said: Partial<Said> = {}, how: Partial<Signing> = {}) => {
  const whole = { ...right(wanted, ada), ...said }
  const text = assertionText(whole)
  return withSignature(text, signatureOf(text, whole.id, { ...signing, ...how }))
}
export const response = (
  said: Partial<Said> = {},
  how: Partial<Signing> = {},
  outside: Partial<Around> = {},
) => responseText(signed(said, how), { ...around, ...outside })
