import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { base64url, exportJWK, importJWK, SignJWT, type JWK, type JWTHeaderParameters } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { accessTokenMs, createTokens, type AccessClaims } from '#src/http/tokens.ts'

const issuer = 'https://weir.test'
const now = new Date('2026-11-21T12:00:00Z')
const newKey = () => generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as JWK
const key = newKey()
const previousKey = newKey()
const tokens = createTokens({
  issuer,
  key: JSON.stringify(key),
  previousKey: JSON.stringify(previousKey),
  now: () => now,
})
const claims: AccessClaims = {
  tenantId: newId('tenant'),
  userId: newId('user'),
  sessionId: newId('session'),
  role: 'developer',
}
let kid: string
beforeAll(async () => {
  kid = (await tokens.jwks()).keys[0]?.kid ?? ''
})

/** A good token with something changed, signed by whichever key. */
async function forge(
  change: { header?: Partial<JWTHeaderParameters>; payload?: Record<string, unknown> } = {},
  signer: JWK = key,
) {
  const issuedS = now.getTime() / 1000
  const payload = {
    iss: issuer,
    aud: 'weir',
    sub: claims.userId,
    tid: claims.tenantId,
    sid: claims.sessionId,
    role: claims.role,
    iat: issuedS,
    exp: issuedS + 600,
    ...change.payload,
  }
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid, ...change.header })
    .sign(await importJWK(signer, 'EdDSA'))
}

const unsigned = (header: object, payload: object, signature = '') =>
  [header, payload].map((part) => base64url.encode(JSON.stringify(part))).join('.') + '.' + signature

/** Why it is refused; 'accepted' if it is not. */
const verdictOn = async (token: string) => {
  const verdict = await tokens.verify(token)
  return verdict.ok ? 'accepted' : verdict.reason
}

describe('access tokens', () => {
  it('say who, where and for how long', async () => {
    const { accessToken, accessTokenExpiresAt } = await tokens.issue(claims)
    expect(await tokens.verify(accessToken)).toEqual({ ok: true, claims })
    expect(Date.parse(accessTokenExpiresAt) - now.getTime()).toBe(accessTokenMs)
    expect(await tokens.verify(await forge())).toEqual({ ok: true, claims })
  })

  it('are still good under the key before, but never signed by it', async () => {
    const previousKid = (await tokens.jwks()).keys[1]?.kid ?? ''
    const old = await forge({ header: { kid: previousKid } }, previousKey)
    expect((await tokens.verify(old)).ok).toBe(true)
    const header = (await tokens.issue(claims)).accessToken.split('.')[0] ?? ''
    expect(JSON.parse(new TextDecoder().decode(base64url.decode(header)))).toEqual({
      alg: 'EdDSA',
      typ: 'at+jwt',
      kid,
    })
  })

  it('outlive the rotation of keys by their own ten minutes, whichever isolate is asked', async () => {
    let at = now.getTime()
    const withKeys = (first: JWK, second?: JWK) =>
      createTokens({
        issuer,
        key: JSON.stringify(first),
        previousKey: second && JSON.stringify(second),
        now: () => new Date(at),
      })
    const [older, newer] = [newKey(), newKey()]
    const [before, during, after] = [withKeys(older), withKeys(newer, older), withKeys(newer)]
    const good = async (isolate: typeof before, token: string) => (await isolate.verify(token)).ok
    const { accessToken: old } = await before.issue(claims)
    at += accessTokenMs - 1_000
    const { accessToken: fresh } = await during.issue(claims)
    expect([await good(before, old), await good(during, old), await good(after, old)]).toEqual([
      true,
      true,
      false,
    ])
    // An isolate that has not heard of the new key refuses; the session is renewed, nobody signs in again.
    expect([await good(before, fresh), await good(during, fresh), await good(after, fresh)]).toEqual([
      false,
      true,
      true,
    ])
    at += 1_000
    expect([await good(during, old), await good(during, fresh)]).toEqual([false, true])
    at += accessTokenMs - 1_000
    expect([await good(during, fresh), await good(after, fresh)]).toEqual([false, false])
  })

  it('are refused to the second by a clock that moves, forward and back', async () => {
    let at = now.getTime()
    const moving = createTokens({ issuer, key: JSON.stringify(key), now: () => new Date(at) })
    const { accessToken } = await moving.issue(claims)
    const standsAt = async (ms: number) => {
      at = now.getTime() + ms
      return (await moving.verify(accessToken)).ok
    }
    expect(await standsAt(accessTokenMs - 1_000)).toBe(true)
    expect(await standsAt(accessTokenMs)).toBe(false)
    expect(await standsAt(365 * 86_400_000)).toBe(false)
    expect(await standsAt(0)).toBe(true)
  })

  it('of one issuer are nothing to another that has the same key', async () => {
    const other = createTokens({ issuer: 'https://other.test', key: JSON.stringify(key), now: () => now })
    const { accessToken } = await other.issue(claims)
    expect(await verdictOn(accessToken)).not.toBe('accepted')
  })

  it('refuse every other algorithm, and HS256 under each way to write the public key', async () => {
    const { keys } = await tokens.jwks()
    const spki = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.x ?? '' }, format: 'jwk' })
    const secrets = [
      spki.export({ type: 'spki', format: 'pem' }).toString(),
      spki.export({ type: 'spki', format: 'der' }).toString('base64'),
      JSON.stringify(keys[0]),
      kid,
    ]
    for (const secret of secrets) {
      const forged = await new SignJWT({
        sub: claims.userId,
        tid: claims.tenantId,
        sid: claims.sessionId,
        role: 'owner',
      })
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid })
        .setIssuer(issuer)
        .setAudience('weir')
        .setIssuedAt(now)
        .setExpirationTime('1h')
        .sign(new TextEncoder().encode(secret.padEnd(32, '\0')))
      expect(await verdictOn(forged)).toBe('jose_alg_not_allowed')
    }
    const header = (alg: string) => unsigned({ alg, typ: 'at+jwt', kid }, { sub: claims.userId }, 'AAAA')
    for (const alg of ['ES256', 'RS256', 'PS512', 'HS512', 'eddsa', 'Ed448'])
      expect(await verdictOn(header(alg))).not.toBe('accepted')
  })

  it('publish no private key', async () => {
    const { keys } = await tokens.jwks()
    expect(keys).toHaveLength(2)
    for (const one of keys) {
      expect(Object.keys(one).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    }
  })

  it('refuse algorithm none, with and without a signature', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      expect(await verdictOn(unsigned({ alg, typ: 'at+jwt', kid }, { sub: claims.userId }))).not.toBe(
        'accepted',
      )
      expect(await verdictOn(unsigned({ alg, typ: 'at+jwt', kid }, { sub: claims.userId }, 'AAAA'))).not.toBe(
        'accepted',
      )
    }
  })

  it('refuse HS256 keyed with the published key', async () => {
    for (const secret of [key.x ?? '', JSON.stringify((await tokens.jwks()).keys[0])]) {
      const forged = await new SignJWT({ sub: claims.userId, tid: claims.tenantId })
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid })
        .setExpirationTime('1h')
        .sign(new TextEncoder().encode(secret))
      expect(await verdictOn(forged)).toBe('jose_alg_not_allowed')
    }
  })

  it('refuse another type, audience, issuer or missing claims', async () => {
    for (const header of [{ typ: 'JWT' }, { typ: 'rt+jwt' }, { typ: undefined }]) {
      expect(await verdictOn(await forge({ header: header as Partial<JWTHeaderParameters> }))).not.toBe(
        'accepted',
      )
    }
    const wrong = [
      { aud: 'other' },
      { aud: ['other'] },
      { iss: 'https://evil.test' },
      { iss: undefined },
      { sub: undefined },
      { tid: undefined },
      { tid: 'ten_1' },
      { tid: [claims.tenantId] },
      { sid: undefined },
      { role: 'root' },
      { exp: undefined },
      { exp: 'never' },
    ]
    for (const payload of wrong) expect(await verdictOn(await forge({ payload }))).not.toBe('accepted')
  })

  it('end exactly when they say, and do not begin before', async () => {
    const s = now.getTime() / 1000
    expect(await verdictOn(await forge({ payload: { exp: s } }))).toBe('jwt_expired')
    expect((await tokens.verify(await forge({ payload: { exp: s + 1 } }))).ok).toBe(true)
    expect(await verdictOn(await forge({ payload: { nbf: s + 60 } }))).not.toBe('accepted')
  })

  it('look keys up by name only: no path, no SQL, no address, no key in the token', async () => {
    for (const bad of ['../../etc/passwd', "' or 1=1 --", '__proto__', 'constructor', '', 'x'.repeat(1000)]) {
      expect(await verdictOn(await forge({ header: { kid: bad } }))).toBe('jwks_no_matching_key')
    }
    const stranger = newKey()
    const jwk = await exportJWK(await importJWK({ kty: 'OKP', crv: 'Ed25519', x: stranger.x ?? '' }, 'EdDSA'))
    for (const header of [{ jwk }, { jku: 'https://evil.test/jwks' }, { x5u: 'https://evil.test/cert' }]) {
      expect(await verdictOn(await forge({ header }, stranger))).toBe('jws_signature_verification_failed')
    }
  })

  it('refuse critical extensions that nobody here knows', async () => {
    const signed = (await forge()).split('.')
    const header = base64url.encode(
      JSON.stringify({ alg: 'EdDSA', typ: 'at+jwt', kid, crit: ['made-up'], 'made-up': true }),
    )
    expect(await verdictOn([header, signed[1], signed[2]].join('.'))).toBe('jose_not_supported')
  })

  it('refuse a payload swapped under a good signature, also with a claim said twice', async () => {
    const [header, , signature] = (await forge()).split('.')
    const twice = `{"tid":"${claims.tenantId}","tid":"${newId('tenant')}"}`
    expect(await verdictOn([header, base64url.encode(twice), signature].join('.'))).not.toBe('accepted')
  })

  it('refuse a megabyte without looking into it', async () => {
    expect(await verdictOn('a'.repeat(1_000_000))).toBe('token_too_long')
    expect(await verdictOn(await forge({ payload: { pad: 'x'.repeat(5000) } }))).toBe('token_too_long')
  })

  it.each(['', '.', '..', 'a.b.c', 'a.b.c.d.e', '💥.💥.💥'])('refuse %j', async (token) => {
    expect(await verdictOn(token)).not.toBe('accepted')
  })

  it('name the variable that is wrong and nothing of its content', async () => {
    const broken = createTokens({ issuer, key: '{"kty":"OKP","d":"secret"', now: () => now })
    await expect(broken.jwks()).rejects.toThrow('TOKEN_KEY must be an Ed25519 private key as a JWK.')
  })
})
