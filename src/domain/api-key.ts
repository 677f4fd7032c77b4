const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
export const apiKeyPrefix = 'weir_live_'
/** For secret scanners: every key matches, and its last six characters are the checksum of what precedes them. */
export const apiKeyPattern = /^weir_live_[0-9A-Za-z]{36}$/

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc >>> 0
})

/** CRC-32 (IEEE) of an ASCII text as six base62 digits. */
export function checksum(text: string): string {
  let crc = 0xffffffff
  for (let i = 0; i < text.length; i++) {
    crc = (crcTable[(crc ^ text.charCodeAt(i)) & 0xff] ?? 0) ^ (crc >>> 8)
  }
  let rest = (crc ^ 0xffffffff) >>> 0
  let digits = ''
  for (let i = 0; i < 6; i++) {
    digits = alphabet.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

/** A new key: 30 random base62 characters (178 bits; bytes above 247 are thrown away, so no character is likelier). */
export function newApiKey(): string {
  let key = apiKeyPrefix
  while (key.length < apiKeyPrefix.length + 30) {
    for (const byte of crypto.getRandomValues(new Uint8Array(40))) {
      if (byte < 248 && key.length < apiKeyPrefix.length + 30) key += alphabet.charAt(byte % 62)
    }
  }
  return key + checksum(key)
}

/** Tells a key that was mistyped or made up from one that may exist, without looking it up. */
export const isApiKey = (text: string): boolean =>
  apiKeyPattern.test(text) && checksum(text.slice(0, -6)) === text.slice(-6)

/** The characters that a list of keys shows. */
export const apiKeyHint = (key: string): string => key.slice(0, 14)
