/** How far the sender's clock may be off, either way. */
const toleranceMs = 5 * 60_000
const encoder = new TextEncoder()

/** A secret of Standard Webhooks: 32 random bytes, shown as whsec_ and base64. */
export const newWebhookSecret = (): string =>
  `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`

export type SignedEvent = { id: string; timestamp: string; signature: string; body: string }

/** What can be said against the event before its secrets are known; undefined when nothing can. */
export function eventProblem({ id, timestamp }: SignedEvent, now: Date): string | undefined {
  if (!/^[\w-]{1,200}$/.test(id)) return 'id'
  if (!/^\d{1,12}$/.test(timestamp)) return 'timestamp'
  return Math.abs(now.getTime() - Number(timestamp) * 1_000) > toleranceMs ? 'stale' : undefined
}

/** Whether one of its v1 signatures was made with one of the secrets. */
export async function isSignedBy(secrets: readonly string[], event: SignedEvent): Promise<boolean> {
  const signatures = event.signature
    .split(' ')
    .slice(0, 10)
    .flatMap((one) => (one.startsWith('v1,') ? [bytesOf(one.slice(3))] : []))
  const signed = encoder.encode(`${event.id}.${event.timestamp}.${event.body}`)
  let found = false
  for (const secret of secrets) {
    const key = await keyOf(secret, ['verify'])
    for (const signature of signatures)
      if (signature && (await crypto.subtle.verify('HMAC', key, signature, signed))) found = true
  }
  return found
}

/** The signature that a sender puts into webhook-signature. */
export async function signEvent(secret: string, event: Omit<SignedEvent, 'signature'>): Promise<string> {
  const key = await keyOf(secret, ['sign'])
  const signed = encoder.encode(`${event.id}.${event.timestamp}.${event.body}`)
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', key, signed))
  return `v1,${btoa(String.fromCharCode(...mac))}`
}

function keyOf(secret: string, usages: ('sign' | 'verify')[]): Promise<CryptoKey> {
  const bytes = bytesOf(secret.replace(/^whsec_/, '')) ?? new Uint8Array(0)
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, usages)
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]{1,200}={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
}
