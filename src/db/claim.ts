import { accessOfJobs } from '#src/domain/access.ts'
import type { TenantId } from '#src/domain/id.ts'

/**
 * Signs claims 'tenant.actor.scope.expiry.hmac' that app.tenant_id() believes; see migrations/0001_wall.sql. The scope is
 * what accessOf() makes of an actor; everything when it is left out, which is for work that was allowed before.
 */
export type ClaimSigner = (tenantId: TenantId, actor: string, access?: string) => Promise<string>

const lifetimeS = 300
const renewBeforeS = 120
const keptClaims = 1_000

/** Claims live five minutes and are kept while at least two remain, so that most requests sign nothing. */
export function claimSigner(claimKey: string, now: () => Date): ClaimSigner {
  const key = crypto.subtle.importKey('raw', bytesOf(claimKey), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ])
  const kept = new Map<string, { claim: string; expiresS: number }>()
  return async (tenantId, actor, access = accessOfJobs) => {
    const nowS = Math.floor(now().getTime() / 1000)
    const name = `${tenantId}.${actor}.${access}`
    const known = kept.get(name)
    if (known && known.expiresS - nowS > renewBeforeS) return known.claim
    const expiresS = nowS + lifetimeS
    const signed = `${name}.${expiresS}`
    const mac = await crypto.subtle.sign('HMAC', await key, new TextEncoder().encode(signed))
    const claim = `${signed}.${hex(new Uint8Array(mac))}`
    if (kept.size >= keptClaims) kept.clear()
    kept.set(name, { claim, expiresS })
    return claim
  }
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

const bytesOf = (base64url: string) =>
  Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
