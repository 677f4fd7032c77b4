import { fromBase64Url, toBase64Url } from './digest.ts'
import { ids, type RunId, type TenantId } from './id.ts'
import * as z from 'zod'

/** Which waiting step an answer is for, under which key, and until when. */
export type AnswerAddress = {
  /** Who may bring it: QStash, about a request that it made, or whoever was given the callback URL. */
  from: 'qstash' | 'callback'
  tenantId: TenantId
  runId: RunId
  step: string
  mapIndex: number
  key: string
  expiresAtMs: number
}

export type AnswerTokens = {
  sign(address: AnswerAddress): Promise<string>
  /** Undefined when we never signed it. Whether it has expired is for the reader to say. */
  read(token: string): Promise<AnswerAddress | undefined>
}

const claims = z.tuple([
  z.enum(['qstash', 'callback']),
  ids.tenant,
  ids.run,
  z.string().max(200),
  z.int().min(0),
  z.string().max(100),
  z.int(),
])
const mostCharacters = 1_000

/** @param masterKeys base64url: the first signs, all of them verify; the tokens' own key is derived from each */
export function answerTokens(masterKeys: readonly string[]): AnswerTokens {
  let derived: Promise<CryptoKey[]> | undefined
  const keys = () => (derived ??= Promise.all(masterKeys.map(tokenKey)))
  return {
    async sign(address) {
      const { from, tenantId, runId, step, mapIndex, key, expiresAtMs } = address
      const text = JSON.stringify([from, tenantId, runId, step, mapIndex, key, expiresAtMs])
      const payload = toBase64Url(new TextEncoder().encode(text))
      const [first] = await keys()
      if (!first) throw new Error('no master key')
      return `${payload}.${toBase64Url(new Uint8Array(await crypto.subtle.sign('HMAC', first, bytes(payload))))}`
    },
    async read(token) {
      const [payload = '', mac = '', ...rest] = token.length > mostCharacters ? [] : token.split('.')
      const signature = fromBase64Url(mac)
      const text = fromBase64Url(payload)
      if (!signature || !text || rest.length > 0) return undefined
      for (const key of await keys()) {
        if (!(await crypto.subtle.verify('HMAC', key, signature, bytes(payload)))) continue
        const parsed = claims.safeParse(JSON.parse(new TextDecoder().decode(text)))
        if (!parsed.success) return undefined
        const [from, tenantId, runId, step, mapIndex, answerKey, expiresAtMs] = parsed.data
        return { from, tenantId, runId, step, mapIndex, key: answerKey, expiresAtMs }
      }
      return undefined
    },
  }
}

const bytes = (text: string) => new TextEncoder().encode(text)

async function tokenKey(master: string): Promise<CryptoKey> {
  const secret = fromBase64Url(master)
  if (!secret) throw new Error('MASTER_KEY must be base64url.')
  const root = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info: bytes('weir answer token 1') },
    root,
    { name: 'HMAC', hash: 'SHA-256', length: 256 },
    false,
    ['sign', 'verify'],
  )
}
