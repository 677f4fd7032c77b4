import { fromBase64Url, sha256, toBase64Url } from './digest.ts'

/** What a device shows that somebody has signed in on it before: it opens nothing, it only waits in another queue. */
export type DeviceTokens = {
  /** @param id the device's, when it has one already */
  sign(email: string, now: Date, id?: string): Promise<string>
  /** The device's id, when the token is ours, for this account and not too old. */
  read(token: string, email: string, now: Date): Promise<string | undefined>
}

export const deviceMs = 180 * 24 * 60 * 60 * 1000
const mostCharacters = 200

/** @param masterKeys base64url: the first signs, all of them verify; the tokens' own key is derived from each */
export function deviceTokens(masterKeys: readonly string[]): DeviceTokens {
  let derived: Promise<CryptoKey[]> | undefined
  const keys = () => (derived ??= Promise.all(masterKeys.map(deviceKey)))
  return {
    async sign(email, now, id = toBase64Url(crypto.getRandomValues(new Uint8Array(12)))) {
      const [key] = await keys()
      if (!key) throw new Error('no master key')
      const issuedS = Math.floor(now.getTime() / 1000)
      const mac = await crypto.subtle.sign('HMAC', key, await signed(email, id, issuedS))
      return `${id}.${issuedS}.${toBase64Url(new Uint8Array(mac))}`
    },
    async read(token, email, now) {
      if (token.length > mostCharacters) return undefined
      const [, id, issued, macText = ''] = /^([\w-]{16})\.(\d{1,12})\.([\w-]+)$/.exec(token) ?? []
      const mac = fromBase64Url(macText)
      if (id === undefined || !mac) return undefined
      const issuedS = Number(issued)
      if (now.getTime() - issuedS * 1000 > deviceMs) return undefined
      const text = await signed(email, id, issuedS)
      for (const key of await keys()) if (await crypto.subtle.verify('HMAC', key, mac, text)) return id
      return undefined
    },
  }
}

const signed = async (email: string, id: string, issuedS: number) =>
  new TextEncoder().encode(`${await sha256(email.toLowerCase())}.${id}.${issuedS}`)

async function deviceKey(master: string): Promise<CryptoKey> {
  const secret = fromBase64Url(master)
  if (!secret) throw new Error('MASTER_KEY must be base64url.')
  const root = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey(
    {
      name: 'HKDF',
      hash: 'SHA-256',
      salt: new Uint8Array(32),
      info: new TextEncoder().encode('weir device 1'),
    },
    root,
    { name: 'HMAC', hash: 'SHA-256', length: 256 },
    false,
    ['sign', 'verify'],
  )
}
