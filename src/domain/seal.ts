import { fromBase64Url, toBase64Url } from './digest.ts'

/** Seals what belongs to no tenant under a key of its own, bound to what it belongs to, so that it opens nowhere else. */
export type Seal = {
  seal(belongsTo: string, plain: string): Promise<string>
  /** Undefined when it was sealed for something else, was changed, or under a key that is gone. */
  open(belongsTo: string, sealed: string): Promise<string | undefined>
}

/**
 * AES-256-GCM under keys that are derived for one purpose.
 * @param masterKeys base64url: the first seals, all of them open
 */
export function sealFor(purpose: string, masterKeys: readonly string[]): Seal {
  let derived: Promise<CryptoKey[]> | undefined
  const keys = () => (derived ??= Promise.all(masterKeys.map((master) => sealKey(master, purpose))))
  return {
    async seal(belongsTo, plain) {
      const [key] = await keys()
      if (!key) throw new Error('no master key')
      const iv = crypto.getRandomValues(new Uint8Array(12))
      const sealed = await crypto.subtle.encrypt(
        { name: 'AES-GCM', iv, additionalData: bytes(belongsTo) },
        key,
        bytes(plain),
      )
      return `v1.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
    },
    async open(belongsTo, sealed) {
      const [version, ivText = '', bodyText = ''] = sealed.split('.')
      const iv = fromBase64Url(ivText)
      const body = fromBase64Url(bodyText)
      if (version !== 'v1' || !iv || !body) return undefined
      for (const key of await keys()) {
        const opened = await crypto.subtle
          .decrypt({ name: 'AES-GCM', iv, additionalData: bytes(belongsTo) }, key, body)
          .catch(() => undefined)
        if (opened) return new TextDecoder().decode(opened)
      }
      return undefined
    },
  }
}

const bytes = (text: string) => new TextEncoder().encode(text)

async function sealKey(master: string, purpose: string): Promise<CryptoKey> {
  const secret = fromBase64Url(master)
  if (!secret) throw new Error('MASTER_KEY must be base64url.')
  const root = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info: bytes(`weir ${purpose} 1`) },
    root,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  )
}
