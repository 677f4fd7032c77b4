import { calculateJwkThumbprint, errors, importJWK, jwtVerify, SignJWT, type JWK } from 'jose'
import * as z from 'zod'
import { ids, type Id, type TenantId, type UserId } from '#src/domain/id.ts'
import { roleName, type RoleName } from '#src/domain/role.ts'

export const accessTokenMs = 10 * 60_000
const audience = 'weir'
const type = 'at+jwt'
const maxLength = 4096

export type AccessClaims = {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly sessionId: Id<'session'>
  readonly role: RoleName
}
type Verdict =
  | { readonly ok: true; readonly claims: AccessClaims }
  | { readonly ok: false; readonly reason: string }

export type Tokens = {
  issue(claims: AccessClaims): Promise<{ accessToken: string; accessTokenExpiresAt: string }>
  /** The true reason is for the log; a caller only learns that the token is not good. */
  verify(token: string): Promise<Verdict>
  jwks(): Promise<{ keys: JWK[] }>
}

const privateJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
})
const payloadShape = z.object({ sub: ids.user, tid: ids.tenant, sid: ids.session, role: roleName })

/** Access tokens: Ed25519 JWTs of ten minutes. The first key signs; both verify, so that keys can rotate. */
export function createTokens(options: {
  issuer: string
  key: string
  previousKey?: string | undefined
  now: () => Date
}): Tokens {
  const { issuer, now } = options
  let loading: Promise<Keys> | undefined
  const keys = () => (loading ??= loadKeys(options.key, options.previousKey))
  return {
    async issue({ tenantId, userId, sessionId, role }) {
      const { kid, signing } = await keys()
      const issuedS = Math.floor(now().getTime() / 1000)
      const expiresS = issuedS + accessTokenMs / 1000
      const accessToken = await new SignJWT({ tid: tenantId, sid: sessionId, role })
        .setProtectedHeader({ alg: 'EdDSA', typ: type, kid })
        .setSubject(userId)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedS)
        .setExpirationTime(expiresS)
        .sign(signing)
      return { accessToken, accessTokenExpiresAt: new Date(expiresS * 1000).toISOString() }
    },
    async verify(token) {
      if (token.length > maxLength) return { ok: false, reason: 'token_too_long' }
      const { verifying } = await keys()
      try {
        const { payload } = await jwtVerify(
          token,
          ({ kid = '' }) => {
            const key = verifying.get(kid)
            if (!key) throw new errors.JWKSNoMatchingKey()
            return key
          },
          {
            algorithms: ['EdDSA'],
            issuer,
            audience,
            typ: type,
            requiredClaims: ['sub', 'tid', 'sid', 'role', 'iat', 'exp'],
            currentDate: now(),
          },
        )
        const { sub, tid, sid, role } = payloadShape.parse(payload)
        return { ok: true, claims: { tenantId: tid, userId: sub, sessionId: sid, role } }
      } catch (error) {
        return { ok: false, reason: reasonOf(error) }
      }
    },
    async jwks() {
      return { keys: (await keys()).published }
    },
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof errors.JOSEError ? error.code.replace('ERR_', '').toLowerCase() : 'token_claims'

type Keys = {
  kid: string
  signing: CryptoKey
  verifying: Map<string, CryptoKey>
  published: JWK[]
}

async function loadKeys(key: string, previousKey: string | undefined): Promise<Keys> {
  const current = parseKey(key, 'TOKEN_KEY')
  const older = previousKey === undefined ? [] : [parseKey(previousKey, 'TOKEN_KEY_PREVIOUS')]
  const verifying = new Map<string, CryptoKey>()
  const published: JWK[] = []
  for (const { kty, crv, x } of [current, ...older]) {
    const kid = await calculateJwkThumbprint({ kty, crv, x })
    verifying.set(kid, await importKey({ kty, crv, x }))
    published.push({ kty, crv, x, kid, alg: 'EdDSA', use: 'sig' })
  }
  const kid = published[0]?.kid ?? ''
  return { kid, signing: await importKey(current), verifying, published }
}

/** Says which variable is wrong and nothing of what is in it. */
function parseKey(text: string, variable: string): z.output<typeof privateJwk> {
  try {
    return privateJwk.parse(JSON.parse(text))
  } catch {
    throw new Error(`${variable} must be an Ed25519 private key as a JWK.`)
  }
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, 'EdDSA')
  if (!('type' in key)) throw new Error('TOKEN_KEY must be an Ed25519 key.')
  return key
}
