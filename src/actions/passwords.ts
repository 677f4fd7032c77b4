import { scrypt, timingSafeEqual } from 'node:crypto'

/** scrypt's parameters: 2^ln is its N. */
export type PasswordCost = { readonly ln: number; readonly r: number; readonly p: number }

/** OWASP's parameters for scrypt; more memory would not fit an isolate, less would not pass ASVS. */
export const passwordCost: PasswordCost = { ln: 15, r: 8, p: 3 }
const keyBytes = 32

/** A hash in PHC form: `$scrypt$ln=15,r=8,p=3$salt$hash`. */
export async function hashPassword(password: string, cost: PasswordCost): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16))
  return format(cost, salt, await derive(password, salt, cost))
}

/** What stands in for the hash of an account that does not exist, so that asking takes as long. */
const nobody = (cost: PasswordCost) => format(cost, new Uint8Array(16), new Uint8Array(keyBytes))

/** Compares with the stored hash, or with nobody's. `outdated` asks for a new hash with today's cost. */
export async function verifyPassword(
  password: string,
  stored: string | undefined,
  today: PasswordCost,
): Promise<{ ok: boolean; outdated: boolean }> {
  const { parameters, salt, hash } = parse(stored ?? nobody(today))
  const same = timingSafeEqual(await derive(password, salt, parameters), hash)
  const { ln, r, p } = parameters
  return {
    ok: same && stored !== undefined,
    outdated: ln !== today.ln || r !== today.r || p !== today.p,
  }
}

function derive(password: string, salt: Uint8Array, { ln, r, p }: PasswordCost): Promise<Uint8Array> {
  const cost = { N: 2 ** ln, r, p, maxmem: 64 * 1024 * 1024 }
  return new Promise((resolve, reject) => {
    scrypt(new TextEncoder().encode(password), salt, keyBytes, cost, (error, key) =>
      error ? reject(error) : resolve(new Uint8Array(key)),
    )
  })
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll('=', '')
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}

function format({ ln, r, p }: PasswordCost, salt: Uint8Array, hash: Uint8Array): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`
}

function parse(phc: string): { parameters: PasswordCost; salt: Uint8Array; hash: Uint8Array } {
  const found = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc)
  const [, ln, r, p, salt, hash] = found ?? []
  if (salt === undefined || hash === undefined) throw new Error('A stored password hash is not in PHC form.')
  return {
    parameters: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: bytesOf(salt),
    hash: bytesOf(hash),
  }
}
