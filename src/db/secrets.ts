import { and, eq } from 'drizzle-orm'
import type { TenantDb } from './database.ts'
import { dataKeys } from './schema.ts'

/**
 * Seals secrets with AES-256-GCM under the tenant's data key, which itself is sealed under the master key. What is sealed
 * is bound to what it belongs to, so that it opens nowhere else.
 */
export type SecretBox = {
  seal(db: TenantDb, belongsTo: string, plain: string): Promise<string>
  unseal(db: TenantDb, belongsTo: string, sealed: string): Promise<string>
}

/** Sealed for something else, changed since, or of a version that is not known here. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken'
}

const keptKeys = 200

/** @param masterKeys base64url, 32 bytes each: the first seals, all of them unseal */
export function secretBox(masterKeys: readonly string[]): SecretBox {
  const masters = masterKeys.map((text) => importKey(bytesOf(text).slice(0, 32) as Uint8Array<ArrayBuffer>))
  const kept = new Map<string, CryptoKey>()

  async function dataKey(db: TenantDb): Promise<CryptoKey> {
    const known = kept.get(db.tenantId)
    if (known) return known
    const fresh = crypto.getRandomValues(new Uint8Array(32))
    const master = await masters[0]
    if (!master) throw new Error('no master key')
    const sealed = await encrypt(master, `data key of ${db.tenantId}`, fresh)
    const [, [row]] = await db.run(
      db.sql.insert(dataKeys).values({ tenantId: db.tenantId, sealed }).onConflictDoNothing(),
      db.sql
        .select({ sealed: dataKeys.sealed })
        .from(dataKeys)
        .where(and(eq(dataKeys.tenantId, db.tenantId))),
    )
    if (!row) throw new Error(`no data key for ${db.tenantId}`)
    const key = await importKey(await decryptWithAny(masters, `data key of ${db.tenantId}`, row.sealed))
    if (kept.size >= keptKeys) kept.clear()
    kept.set(db.tenantId, key)
    return key
  }

  return {
    seal: async (db, belongsTo, plain) =>
      encrypt(
        await dataKey(db),
        `${db.tenantId} ${belongsTo}`,
        Uint8Array.from(new TextEncoder().encode(plain)),
      ),
    async unseal(db, belongsTo, sealed) {
      const key = await dataKey(db)
      try {
        return new TextDecoder().decode(await decrypt(key, `${db.tenantId} ${belongsTo}`, sealed))
      } catch (cause) {
        throw new SealBroken('what is sealed does not open here', { cause })
      }
    },
  }
}

const importKey = (bytes: Uint8Array<ArrayBuffer>) =>
  crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])

async function encrypt(key: CryptoKey, belongsTo: string, plain: Uint8Array<ArrayBuffer>): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const additionalData = new TextEncoder().encode(belongsTo)
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, plain)
  return `v1.${base64(iv)}.${base64(new Uint8Array(sealed))}`
}

async function decrypt(key: CryptoKey, belongsTo: string, sealed: string): Promise<Uint8Array<ArrayBuffer>> {
  const [version, iv, body] = sealed.split('.')
  if (version !== 'v1' || !iv || !body) throw new Error('what is sealed here is not of a known version')
  const additionalData = new TextEncoder().encode(belongsTo)
  return new Uint8Array(
    await crypto.subtle.decrypt({ name: 'AES-GCM', iv: bytesOf(iv), additionalData }, key, bytesOf(body)),
  )
}

async function decryptWithAny(keys: readonly Promise<CryptoKey>[], belongsTo: string, sealed: string) {
  let failure: unknown
  for (const key of keys) {
    try {
      return await decrypt(await key, belongsTo, sealed)
    } catch (error) {
      failure = error
    }
  }
  throw new Error('no master key opens the data key of this tenant', { cause: failure })
}

const base64 = (bytes: Uint8Array) => {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

const bytesOf = (base64url: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
