/** What Web Crypto lacks of Node's crypto and workerd and Deno have, too. */
declare module 'node:crypto' {
  export function scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    length: number,
    cost: { N: number; r: number; p: number; maxmem: number },
    callback: (error: Error | null, key: Uint8Array) => void,
  ): void
  export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean
  export class X509Certificate {
    constructor(pem: string)
    readonly subject: string
    readonly validFrom: string
    readonly validTo: string
    readonly fingerprint256: string
    readonly publicKey: {
      readonly asymmetricKeyType?: string
      readonly asymmetricKeyDetails?: { readonly modulusLength?: number }
    }
  }
}
