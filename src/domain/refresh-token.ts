import { toBase64Url } from './digest.ts'

const pattern = /^weir_refresh_[A-Za-z0-9_-]{43}$/

/** A new refresh token: 256 random bits that mean nothing. Only its hash is stored. */
export const newRefreshToken = (): string =>
  `weir_refresh_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`

export const isRefreshToken = (text: string): boolean => pattern.test(text)
