import type { Services } from '#src/actions/context.ts'
import { fromBase64Url } from '#src/domain/digest.ts'
import { createTokens, type Tokens } from './tokens.ts'

/** What every entrance of one isolate shares: the services, and keys that are derived once and on first use. */
export type Gate = {
  readonly services: Services
  readonly tokens: Tokens
  /** Where browsers see us; what `Origin` must say. */
  readonly origin: string
  readonly corsOrigins: ReadonlySet<string>
  /** Signs cursors. */
  cursorKey(): Promise<CryptoKey>
  /** Seal the answers that idempotency keeps: the first seals, all open. */
  replyKeys(): Promise<CryptoKey[]>
}

export function openGate(services: Services): Gate {
  const { env } = services
  const masters = [env.MASTER_KEY, ...(env.MASTER_KEY_PREVIOUS ? [env.MASTER_KEY_PREVIOUS] : [])]
  let cursorKey: Promise<CryptoKey> | undefined
  let replyKeys: Promise<CryptoKey[]> | undefined
  return {
    services,
    tokens: createTokens({
      issuer: env.PUBLIC_URL,
      key: env.TOKEN_KEY,
      previousKey: env.TOKEN_KEY_PREVIOUS,
      now: () => services.now(),
    }),
    origin: new URL(env.PUBLIC_URL).origin,
    corsOrigins: new Set((env.CORS_ORIGINS ?? '').split(',').filter((origin) => origin !== '')),
    cursorKey: () =>
      (cursorKey ??= derive(env.MASTER_KEY, 'cursor', { name: 'HMAC', hash: 'SHA-256', length: 256 }, [
        'sign',
      ])),
    replyKeys: () =>
      (replyKeys ??= Promise.all(
        masters.map((master) =>
          derive(master, 'stored reply', { name: 'AES-GCM', length: 256 }, ['encrypt', 'decrypt']),
        ),
      )),
  }
}

async function derive(
  master: string,
  purpose: string,
  algorithm: { name: 'HMAC'; hash: string; length: number } | { name: 'AES-GCM'; length: number },
  usages: ('sign' | 'encrypt' | 'decrypt')[],
): Promise<CryptoKey> {
  const bytes = fromBase64Url(master)
  if (!bytes) throw new Error('MASTER_KEY must be base64url.')
  const root = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey'])
  const info = new TextEncoder().encode(`weir ${purpose} 1`)
  return crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(32), info },
    root,
    algorithm,
    false,
    usages,
  )
}
