import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'

export type KeyPair = { privateKey: KeyObject; publicKey: KeyObject }
export type TestCertificate = KeyPair & { pem: string; privatePem: string; from: string; until: string }

const day = 24 * 60 * 60 * 1000

const length = (size: number): Buffer =>
  size < 0x80
    ? Buffer.of(size)
    : size < 0x100
      ? Buffer.of(0x81, size)
      : Buffer.of(0x82, size >> 8, size & 0xff)
const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag), length(body.length), body])
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const algorithms: Readonly<Record<string, Buffer>> = {
  rsa: sequence(oid('2a864886f70d01010b'), der(0x05)),
  ec: sequence(oid('2a8648ce3d040302')),
}
/** To the second, as a certificate has it. */
const shown = (at: Date) => at.toISOString().replace(/\.\d+/, '.000')
const time = (at: Date) => der(0x18, Buffer.from(`${at.toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`))

/** A certificate signed by its own key, as identity providers use them. */
export function certificate(
  name: string,
  options: { bits?: number; kind?: 'rsa' | 'ec'; from?: Date; until?: Date; keys?: KeyPair } = {},
): TestCertificate {
  const { bits = 2048, kind = 'rsa', from = new Date(Date.now() - day) } = options
  const { until = new Date(Date.now() + 90 * day) } = options
  const keys: KeyPair =
    options.keys ??
    (kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const algorithm = algorithms[kind] ?? Buffer.alloc(0)
  const subject = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1)),
    algorithm,
    subject,
    sequence(time(from), time(until)),
    subject,
    keys.publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = createSign('sha256').update(body).sign(keys.privateKey)
  const whole = sequence(body, algorithm, der(0x03, Buffer.of(0), signature))
  const lines = whole.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return {
    ...keys,
    pem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    privatePem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    from: shown(from),
    until: shown(until),
  }
}
