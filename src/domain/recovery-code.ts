import { sha256 } from './digest.ts'

/** Crockford's alphabet: no letter that reads like a digit. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const length = 16

/** Ten codes of 80 random bits, written in fours. */
export const newRecoveryCodes = (): string[] => Array.from({ length: 10 }, newRecoveryCode)

function newRecoveryCode(): string {
  let text = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(length))) text += alphabet[byte & 31] ?? '0'
  return (text.match(/.{4}/g) ?? []).join('-')
}

/** How a code is stored, however it was typed. They are random, so a slow hash would add nothing. */
export function recoveryCodeHash(userId: string, code: string): Promise<string> {
  const plain = code.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1')
  return sha256(`${userId} ${plain}`)
}
