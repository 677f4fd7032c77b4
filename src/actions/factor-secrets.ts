import { fromBase64Url, toBase64Url } from '#src/domain/digest.ts'
import type { Env } from '#src/env.ts'

/**
 * Seals the secrets of one-time codes with AES-256-GCM under a key derived from the master key, since people have no tenant
 * whose data key it could be. Each is bound to its person and its factor, so that it opens nowhere else.
 */
export async function sealFactor(env: Env, belongsTo: string, plain: string): Promise<string> {
  const [key] = await keysOf(env)
  if (!key) throw new Error('no master key')
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: bytesOf(belongsTo) },
    key,
    bytesOf(plain),
  )
  return `v1.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
}

/** Opens what either master key sealed. */
export async function unsealFactor(env: Env, belongsTo: string, sealed: string): Promise<string> {
  const [version, iv, body] = sealed.split('.')
  const parts = { iv: fromBase64Url(iv ?? ''), body: fromBase64Url(body ?? '') }
  if (version !== 'v1' || !parts.iv || !parts.body) throw new Error('a sealed factor of an unknown version')
  let failure: unknown
  for (const key of await keysOf(env)) {
    try {
      const algorithm = { name: 'AES-GCM', iv: parts.iv, additionalData: bytesOf(belongsTo) }
      return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm, key, parts.body))
    } catch (error) {
      failure = error
    }
  }
  throw new Error('no master key opens this factor', { cause: failure })
}

const kept = new WeakMap<Env, Promise<CryptoKey[]>>()

function keysOf(env: Env): Promise<CryptoKey[]> {
  const known = kept.get(env)
  if (known) return known
  const masters = [env.MASTER_KEY, ...(env.MASTER_KEY_PREVIOUS ? [env.MASTER_KEY_PREVIOUS] : [])]
  const made = Promise.all(masters.map(derive))
  kept.set(env, made)
  return made
}

async function derive(master: string): Promise<CryptoKey> {
  const bytes = fromBase64Url(master)
  if (!bytes) throw new Error('MASTER_KEY must be base64url.')
  const root = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey'])
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info: bytesOf('weir second factor 1') },
    root,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  )
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(new TextEncoder().encode(text))
