import { fromBase64Url, toBase64Url } from './digest.ts'
import { Problem } from './problem.ts'

export const defaultLimit = 50
export const maxLimit = 500

/** Where a page starts: the sort keys of the last row before it, as text. Empty at the beginning. */
export type Position = readonly string[]
export type PageRequest = { readonly limit: number; readonly after?: Position }
export type Page<T> = { items: T[]; next?: Position }

/** Cuts the page out of `limit + 1` rows: the extra one only tells that there is more. */
export function toPage<T>(rows: readonly T[], limit: number, positionOf: (row: T) => Position): Page<T> {
  if (rows.length <= limit) return { items: [...rows] }
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return last === undefined ? { items } : { items, next: positionOf(last) }
}

const encoder = new TextEncoder()
const macBytes = 16

async function mac(key: CryptoKey, binding: string, payload: string): Promise<Uint8Array> {
  const signed = await crypto.subtle.sign('HMAC', key, encoder.encode(`1\n${binding}\n${payload}`))
  return new Uint8Array(signed, 0, macBytes)
}

/** An opaque cursor. It is good only together with the same binding: tenant, route and filter. */
export async function encodeCursor(key: CryptoKey, binding: string, position: Position): Promise<string> {
  const payload = toBase64Url(encoder.encode(JSON.stringify(position)))
  return `${payload}.${toBase64Url(await mac(key, binding, payload))}`
}

export async function decodeCursor(key: CryptoKey, binding: string, cursor: string): Promise<Position> {
  const [payload = '', signature = '', ...rest] = cursor.split('.')
  const given = fromBase64Url(signature)
  const position = fromBase64Url(payload)
  if (rest.length > 0 || !given || !position || !sameBytes(given, await mac(key, binding, payload))) {
    throw new Problem('malformed', 'This cursor does not belong to this list; start again without it.', {
      fields: [{ path: 'cursor', message: 'is not a cursor of this list' }],
    })
  }
  return JSON.parse(new TextDecoder().decode(position)) as Position
}

/** Compares without telling by its duration where the difference is. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
