import { createHmac, hash, randomBytes } from 'node:crypto'

export type Claims = {
  iss: 'Upstash'
  sub: string
  exp: number
  nbf: number
  iat: number
  jti: string
  body: string
}

const header = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

/** The `body` claim; real QStash pads it, and receivers strip the padding. */
export const hashBody = (body: Uint8Array): string => `${hash('sha256', body, 'base64url')}=`

export function signClaims(claims: Claims, signingKey: string): string {
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${createHmac('sha256', signingKey).update(signed).digest('base64url')}`
}

/** Signs one attempt. Receivers compare with the time of day, so this never follows a virtual clock. */
export function signDelivery(url: string, body: Uint8Array, signingKey: string): string {
  const iat = Math.floor(Date.now() / 1_000)
  const jti = `jwt_${newToken()}`
  return signClaims(
    { iss: 'Upstash', sub: url, exp: iat + 300, nbf: 0, iat, jti, body: hashBody(body) },
    signingKey,
  )
}

/** A signature with one character changed, as after an attack or a broken proxy. */
export function tamper(signature: string): string {
  const last = signature.at(-10) === 'A' ? 'B' : 'A'
  return `${signature.slice(0, -10)}${last}${signature.slice(-9)}`
}

let pool = Buffer.alloc(0)

/** 26 random letters and digits; the randomness is fetched in bulk because a batch takes many. */
export function newToken(): string {
  if (pool.length < 16) pool = randomBytes(16 * 512)
  const token = pool.toString('hex', 0, 13)
  pool = pool.subarray(13)
  return token
}

export const newSigningKey = (): string =>
  `sig_${randomBytes(21).toString('base64url').replaceAll(/[-_]/g, 'x')}`
