import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose'
import { toBase64Url } from '#src/domain/digest.ts'
import { serve } from './server.ts'

type Key = { kid: string; jwk: JWK; sign: CryptoKey }

/** What this provider does wrong, where a test says so; without, everything is right. */
export type Mischief = {
  discovery?: Record<string, unknown>
  /** Overrides claims of the id_token; undefined leaves one out. */
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
  /** Takes the token's place. */
  token?: (right: string, nonce: string) => string | Promise<string>
  jwks?: () => Response
  /** The iss parameter on the way back; null leaves it out. */
  iss?: string | null
  /** Answers the token request in its own way. */
  tokenEndpoint?: () => Response
}

export type HostileProvider = {
  issuer: string
  clientId: string
  mischief: Mischief
  /** Takes other keys from now on, without the old ones. */
  rotate(): Promise<void>
  /** What the browser brings back of an authorization URL, without any page between. */
  comeBack(authorizationUrl: string, person: Record<string, unknown>): string
  asked: string[]
  close(): Promise<void>
}

const newKey = async (): Promise<Key> => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const kid = crypto.randomUUID()
  return { kid, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }, sign: privateKey }
}

/** A provider written to do wrong: it speaks the protocol, and breaks it where it is told to. */
export async function hostileProvider(): Promise<HostileProvider> {
  const clientId = 'weir'
  const asked: string[] = []
  const codes = new Map<string, { nonce: string; person: Record<string, unknown> }>()
  let key = await newKey()
  const server = await serve(() => async (request) => {
    const { pathname } = new URL(request.url)
    asked.push(pathname)
    if (pathname === '/.well-known/openid-configuration')
      return Response.json({
        issuer: server.url,
        authorization_endpoint: `${server.url}/authorize`,
        token_endpoint: `${server.url}/token`,
        jwks_uri: `${server.url}/jwks`,
        id_token_signing_alg_values_supported: ['ES256', 'HS256', 'none'],
        ...provider.mischief.discovery,
      })
    if (pathname === '/jwks') return provider.mischief.jwks?.() ?? Response.json({ keys: [key.jwk] })
    if (pathname === '/token')
      return provider.mischief.tokenEndpoint?.() ?? redeemed(await request.formData())
    return new Response('there is no such path', { status: 404 })
  })

  async function redeemed(form: FormData): Promise<Response> {
    const given = form.get('code')
    const code = typeof given === 'string' ? given : ''
    const known = codes.get(code)
    if (!known) return Response.json({ error: 'invalid_grant' }, { status: 400 })
    codes.delete(code)
    const { claims, header, token } = provider.mischief
    const now = Math.floor(Date.now() / 1000)
    const payload: Record<string, unknown> = {
      iss: server.url,
      aud: clientId,
      iat: now,
      exp: now + 300,
      nonce: known.nonce,
      ...known.person,
      ...claims,
    }
    const right = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, ...header })
      .sign(key.sign)
    return Response.json({
      access_token: crypto.randomUUID(),
      token_type: 'Bearer',
      id_token: (await token?.(right, known.nonce)) ?? right,
    })
  }

  const provider: HostileProvider = {
    issuer: server.url,
    clientId,
    mischief: {},
    asked,
    async rotate() {
      key = await newKey()
    },
    comeBack(authorizationUrl, person) {
      const { searchParams } = new URL(authorizationUrl)
      const code = crypto.randomUUID()
      codes.set(code, { nonce: searchParams.get('nonce') ?? '', person })
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('code', code)
      back.searchParams.set('state', searchParams.get('state') ?? '')
      const iss = provider.mischief.iss === undefined ? server.url : provider.mischief.iss
      if (iss !== null) back.searchParams.set('iss', iss)
      return back.href
    },
    close: () => server.close(),
  }
  return provider
}

/** A JWT of these parts, signed with whatever is given: what no library would make. */
export async function forged(
  header: Record<string, unknown>,
  payload: Record<string, unknown>,
  hmacKey?: string,
): Promise<string> {
  const encoder = new TextEncoder()
  const text = [header, payload].map((part) => toBase64Url(encoder.encode(JSON.stringify(part)))).join('.')
  if (hmacKey === undefined) return `${text}.`
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const secret = await crypto.subtle.importKey('raw', encoder.encode(hmacKey), algorithm, false, ['sign'])
  return `${text}.${toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', secret, encoder.encode(text))))}`
}
