import type { CheckResult } from '#src/connectors/connector.ts'
import { readIdpMetadata, type IdpMetadata } from '#src/domain/saml-messages.ts'
import type { SamlProvider } from '#src/domain/sso.ts'
import { XmlFailure } from '#src/domain/xml.ts'
import { readCertificate } from './certificates.ts'
import { invalidField, refuseHost } from './fields.ts'
import type { Services } from '../context.ts'

const mostCertificates = 3
const warnMs = 30 * 24 * 60 * 60 * 1000

/** What a provider of SAML is told, each by itself or all of it in the provider's own metadata. */
export type GivenSaml = {
  metadata?: string | undefined
  entityId?: string | undefined
  signInUrl?: string | undefined
  certificates?: string[] | undefined
}
type Settled = Pick<SamlProvider, 'issuer' | 'signInUrl' | 'certificates'>

/** Checks what is given, and keeps what is not. */
export async function settleSaml(
  services: Services,
  given: GivenSaml,
  current?: SamlProvider,
): Promise<Settled> {
  const metadata = given.metadata === undefined ? undefined : readMetadata(given.metadata)
  const issuer = given.entityId ?? metadata?.entityId ?? current?.issuer
  if (issuer === undefined) throw invalidField('entityId', 'is needed, by itself or in metadata')
  if (issuer.length > 1024 || /[\s\p{Cc}]/u.test(issuer) || issuer === '')
    throw invalidField('metadata', 'must name an entityID of at most 1024 characters without spaces')
  const signInUrl = given.signInUrl ?? metadata?.signInUrl ?? current?.signInUrl
  if (signInUrl === undefined) throw invalidField('signInUrl', 'is needed, by itself or in metadata')
  if (signInUrl !== current?.signInUrl)
    await refuseSignInUrl(services, given.signInUrl === undefined ? 'metadata' : 'signInUrl', signInUrl)
  const now = services.now()
  const certificates = given.certificates
    ? readGiven(given.certificates, now)
    : metadata
      ? readListed(metadata, now)
      : current?.certificates
  if (certificates === undefined)
    throw invalidField('certificates', 'are needed, by themselves or in metadata')
  return { issuer, signInUrl, certificates }
}

function readMetadata(text: string): IdpMetadata {
  try {
    return readIdpMetadata(text)
  } catch (error) {
    if (error instanceof XmlFailure) throw invalidField('metadata', error.message)
    throw error
  }
}

async function refuseSignInUrl(services: Services, field: string, url: string): Promise<void> {
  if (url.length > 2_000 || url.includes('#'))
    throw invalidField(
      field,
      'must name an address to sign in at of at most 2000 characters, without a fragment',
    )
  await refuseHost(services, field, url)
}

/** Each must do: who lists a certificate means it. */
function readGiven(texts: readonly string[], now: Date): string[] {
  const pems = texts.map((text, index) => {
    const read = readCertificate(text)
    const path = `certificates[${index}]`
    if (typeof read === 'string') throw invalidField(path, read)
    if (read.until <= now)
      throw invalidField(
        path,
        `is over since ${read.until.toISOString()}; give the certificate that took its place`,
      )
    return read.pem
  })
  if (new Set(pems).size !== pems.length) throw invalidField('certificates', 'must differ from each other')
  return pems
}

/** Providers go on listing what is over beside what took its place; there must be some that do, and all of those must. */
function readListed({ certificates }: IdpMetadata, now: Date): string[] {
  const read = certificates.map(readCertificate)
  const good = read.flatMap((one) => (typeof one !== 'string' && one.until > now ? [one.pem] : []))
  if (good.length > 0 && good.length <= mostCertificates && read.every((one) => typeof one !== 'string'))
    return good
  const fault = read.find((one) => typeof one === 'string')
  throw invalidField(
    'metadata',
    fault === undefined
      ? good.length === 0
        ? 'holds no certificate that is not over'
        : `holds ${good.length} certificates, and ${mostCertificates} are the most; give those that are used as certificates`
      : `holds a certificate that ${fault}`,
  )
}

/** What can be known of a provider of SAML without somebody signing in: nothing is fetched from it. */
export function checkSaml(provider: SamlProvider, now: Date): CheckResult & { warnings?: string[] } {
  const read = provider.certificates.map(readCertificate).filter((one) => typeof one !== 'string')
  const good = read.filter(({ from, until }) => from <= now && now < until)
  if (good.length === 0)
    return {
      ok: false,
      code: 'certificate_expired',
      detail: 'No certificate is good now; give the one that the provider signs with.',
    }
  const warnings = read.flatMap(({ until, from, subject }) => {
    if (until <= now) return [`The certificate ${subject} is over since ${until.toISOString()}.`]
    if (from > now) return [`The certificate ${subject} is good from ${from.toISOString()}.`]
    const isSoon = until.getTime() - now.getTime() < warnMs
    return isSoon ? [`The certificate ${subject} is good until ${until.toISOString()}.`] : []
  })
  return {
    ok: true,
    detail: 'There is a certificate that is good now; what else is needed shows when somebody signs in.',
    ...(warnings.length > 0 ? { warnings } : {}),
  }
}
