import { toBase64Url } from '#src/domain/digest.ts'

type Options = { challenge: string; rpId?: string; rp?: { id?: string } }

/** What an authenticator can be made to get wrong. */
export type Twist = { origin?: string; rpId?: string; verified?: boolean; count?: number; type?: string }

export type Authenticator = {
  /** Answers `navigator.credentials.create`. */
  create(options: Options, twist?: Twist): Promise<Registration>
  /** Answers `navigator.credentials.get` with the credential that `create` made. */
  get(options: Options, twist?: Twist): Promise<Signature>
}
type Registration = Awaited<ReturnType<typeof registrationOf>>
type Signature = Awaited<ReturnType<typeof signatureOf>>

type Held = { key: CryptoKeyPair; id: Uint8Array<ArrayBuffer>; origin: string; count: number }

/** An authenticator in software: one ES256 key, a count of its uses, no attestation. */
export async function authenticator(origin: string): Promise<Authenticator> {
  const key = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const held: Held = { key, id: crypto.getRandomValues(new Uint8Array(32)), origin, count: 0 }
  return {
    create: (options, twist = {}) => registrationOf(held, options, twist),
    get: (options, twist = {}) => signatureOf(held, options, twist),
  }
}

async function registrationOf(held: Held, options: Options, twist: Twist) {
  const cose = await coseKey(held.key.publicKey)
  const credential = bytes(new Uint8Array(16), u16(held.id.length), held.id, cose)
  const authData = await authenticatorData(held, options, twist, credential)
  const attestation = bytes(
    Uint8Array.of(0xa3),
    text('fmt'),
    text('none'),
    text('attStmt'),
    Uint8Array.of(0xa0),
    text('authData'),
    byteString(authData),
  )
  return {
    id: toBase64Url(held.id),
    rawId: toBase64Url(held.id),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toBase64Url(clientData(held, options, twist.type ?? 'webauthn.create', twist)),
      attestationObject: toBase64Url(attestation),
      transports: ['internal'],
    },
    clientExtensionResults: {},
  }
}

async function signatureOf(held: Held, options: Options, twist: Twist) {
  held.count += 1
  const authData = await authenticatorData(held, options, twist)
  const client = clientData(held, options, twist.type ?? 'webauthn.get', twist)
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', client))
  const signed = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    held.key.privateKey,
    bytes(authData, hash),
  )
  return {
    id: toBase64Url(held.id),
    rawId: toBase64Url(held.id),
    type: 'public-key' as const,
    response: {
      clientDataJSON: toBase64Url(client),
      authenticatorData: toBase64Url(authData),
      signature: toBase64Url(der(new Uint8Array(signed))),
    },
    clientExtensionResults: {},
  }
}

const clientData = (held: Held, { challenge }: Options, type: string, twist: Twist) =>
  bytes(
    new TextEncoder().encode(
      JSON.stringify({ type, challenge, origin: twist.origin ?? held.origin, crossOrigin: false }),
    ),
  )

async function authenticatorData(held: Held, options: Options, twist: Twist, credential?: Uint8Array) {
  const rpId = twist.rpId ?? options.rpId ?? options.rp?.id ?? ''
  const rpIdHash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(rpId)))
  const flags = 0x01 | (twist.verified === false ? 0 : 0x04) | (credential ? 0x40 : 0)
  return bytes(rpIdHash, Uint8Array.of(flags), u32(twist.count ?? held.count), credential ?? new Uint8Array())
}

/** {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y} */
async function coseKey(key: CryptoKey): Promise<Uint8Array> {
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', key))
  return bytes(
    Uint8Array.of(0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21),
    byteString(raw.slice(1, 33)),
    Uint8Array.of(0x22),
    byteString(raw.slice(33)),
  )
}

const text = (value: string) => bytes(Uint8Array.of(0x60 | value.length), new TextEncoder().encode(value))
const byteString = (value: Uint8Array) =>
  bytes(
    value.length < 256 ? Uint8Array.of(0x58, value.length) : bytes(Uint8Array.of(0x59), u16(value.length)),
    value,
  )
const u16 = (value: number) => Uint8Array.of(value >> 8, value & 0xff)
const u32 = (value: number) => bytes(u16(value >>> 16), u16(value & 0xffff))

/** WebCrypto signs as r‖s, authenticators as ASN.1. */
function der(signature: Uint8Array): Uint8Array {
  const integer = (part: Uint8Array) => {
    const trimmed = part.slice(part.findIndex((byte) => byte !== 0))
    const value = (trimmed[0] ?? 0) > 0x7f ? bytes(Uint8Array.of(0), trimmed) : trimmed
    return bytes(Uint8Array.of(0x02, value.length), value)
  }
  const both = bytes(integer(signature.slice(0, 32)), integer(signature.slice(32)))
  return bytes(Uint8Array.of(0x30, both.length), both)
}

function bytes(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
