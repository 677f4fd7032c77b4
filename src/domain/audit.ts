import { fromBase64Url, sha256, toBase64Url } from './digest.ts'
import type { TenantId } from './id.ts'

/** Where a request comes from, as the Worker saw it; who asks is the claim's to say. */
export type RequestOrigin = {
  readonly requestId: string
  readonly address?: string | undefined
  readonly userAgent?: string | undefined
  /** The session or key that was shown, by its id. */
  readonly credential?: string | undefined
}

export type AuditEntry = {
  /** Its number in the tenant's chain, once it is sealed. */
  seq: number | null
  id: number
  at: string
  actor: string
  actorKind: string
  action: string
  targetKind: string
  targetId: string | null
  targetName: string | null
  address: string | null
  userAgent: string | null
  credential: string | null
  requestId: string | null
  records: number | null
  details: Record<string, unknown>
  hash: string | null
}

/** One place in a tenant's chain: the hash in hex. */
export type ChainPlace = { readonly seq: number; readonly hash: string }
/** A place that the Worker has signed, with the key of its access tokens: `keyId` is in /.well-known/jwks.json. */
export type SignedPlace = ChainPlace & {
  readonly at: string
  readonly keyId: string
  readonly signature: string
}

/** The hash before the first entry. */
export const beginning = (tenantId: TenantId): Promise<string> => sha256(`weir audit 1\n${tenantId}`)

/** A head is where the chain ends; an anchor is what retention has taken last. */
export type PlaceKind = 'head' | 'anchor'

export type PlaceSigner = {
  keyId(): Promise<string>
  sign(tenantId: TenantId, kind: PlaceKind, place: ChainPlace): Promise<SignedPlace>
  verify(tenantId: TenantId, kind: PlaceKind, place: SignedPlace): Promise<boolean>
}

type Jwk = { kty: string; crv: string; x: string; d?: string }

/**
 * Signs places with the first of the keys, Ed25519 JWKs; all of them verify. What is signed has line breaks, which no JWT has
 * in what its signature covers.
 */
export function placeSigner(keys: readonly string[], now: () => Date): PlaceSigner {
  let loading: Promise<{ keyId: string; signing: CryptoKey; verifying: Map<string, CryptoKey> }> | undefined
  const loaded = () => (loading ??= load(keys))
  return {
    keyId: async () => (await loaded()).keyId,
    async sign(tenantId, kind, { seq, hash }) {
      const { keyId, signing } = await loaded()
      const at = now().toISOString()
      const signature = await crypto.subtle.sign(
        'Ed25519',
        signing,
        signedText(tenantId, kind, { seq, hash, at }),
      )
      return { seq, hash, at, keyId, signature: toBase64Url(new Uint8Array(signature)) }
    },
    async verify(tenantId, kind, place) {
      const key = (await loaded()).verifying.get(place.keyId)
      const signature = fromBase64Url(place.signature)
      if (!key || !signature) return false
      return crypto.subtle.verify('Ed25519', key, signature, signedText(tenantId, kind, place))
    },
  }
}

const signedText = (
  tenantId: TenantId,
  kind: PlaceKind,
  { seq, hash, at }: ChainPlace & { at: string },
): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new TextEncoder().encode(`weir audit ${kind} 1\n${tenantId}\n${seq}\n${hash}\n${at}`))

async function load(keys: readonly string[]) {
  const [current, ...older] = keys.map((key) => JSON.parse(key) as Jwk)
  if (!current) throw new Error('no key to sign with')
  const verifying = new Map<string, CryptoKey>()
  for (const { kty, crv, x } of [current, ...older])
    verifying.set(await thumbprint({ kty, crv, x }), await importKey({ kty, crv, x }, 'verify'))
  return { keyId: await thumbprint(current), signing: await importKey(current, 'sign'), verifying }
}

const importKey = ({ kty, crv, x, d }: Jwk, use: 'sign' | 'verify'): Promise<CryptoKey> =>
  crypto.subtle.importKey('jwk', { kty, crv, x, ...(d ? { d } : {}) }, 'Ed25519', false, [use])

/** RFC 7638: the same name that the published key has. */
async function thumbprint({ kty, crv, x }: Jwk): Promise<string> {
  const bytes = Uint8Array.from(new TextEncoder().encode(JSON.stringify({ crv, kty, x })))
  return toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
}
