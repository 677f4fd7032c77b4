import { X509Certificate } from 'node:crypto'

/** A certificate that a provider signs with. */
export type Certificate = {
  /** In the one form in which it is kept. */
  pem: string
  subject: string
  from: Date
  until: Date
  /** SHA-256, as consoles show it. */
  fingerprint: string
}

const form = /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/\n]{1,10000}={0,2})\n-----END CERTIFICATE-----$/
const smallestKey = 2048

/** Reads one certificate, or says in words why it is not taken; when it is over does not matter here. */
export function readCertificate(text: string): Certificate | string {
  const body = form.exec(text.replaceAll(/\r\n?/g, '\n').trim())?.[1]?.replaceAll('\n', '')
  if (body === undefined) return 'must be one certificate as PEM, from BEGIN CERTIFICATE to END CERTIFICATE'
  const pem = `-----BEGIN CERTIFICATE-----\n${body.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  const read = opened(pem)
  if (!read) return 'is not a certificate that can be read'
  const { asymmetricKeyType, asymmetricKeyDetails } = read.publicKey
  if (asymmetricKeyType !== 'rsa') return 'must hold an RSA key: signatures of other kinds are not read here'
  const bits = asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < smallestKey) return `holds an RSA key of ${bits} bits, and ${smallestKey} are the least`
  const [from, until] = [new Date(read.validFrom), new Date(read.validTo)]
  if (Number.isNaN(from.getTime()) || Number.isNaN(until.getTime()))
    return 'does not say from when and until when it is good'
  return { pem, subject: read.subject.replaceAll('\n', ', '), from, until, fingerprint: read.fingerprint256 }
}

function opened(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** The certificates among these that are good now. */
export const goodNow = (pems: readonly string[], now: Date): string[] =>
  pems.filter((pem) => {
    const read = readCertificate(pem)
    return typeof read !== 'string' && read.from <= now && now < read.until
  })
