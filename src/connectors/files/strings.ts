const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A value that Postgres, and therefore Weir, cannot hold; the caller adds where it stands. */
export class BadValue extends Error {}

/**
 * Cuts a run of UTF-8 values that lie end to end into strings: decoded as one, because a decoder's call costs far more
 * than a slice does. `ends` holds where each value ends.
 */
export function cutText(bytes: Uint8Array, ends: Int32Array, count: number, out: string[], at: number): void {
  const total = count === 0 ? 0 : (ends[count - 1] ?? 0)
  const run = bytes.subarray(0, total)
  const text = decodeText(run)
  if (text.length === total) {
    for (let i = 0, start = 0; i < count; i++) {
      const end = ends[i] ?? 0
      out[at + i] = text.substring(start, end)
      start = end
    }
    return
  }
  for (let i = 0, start = 0, from = 0; i < count; i++) {
    const end = ends[i] ?? 0
    if (end > start && ((run[start] ?? 0) & 0xc0) === 0x80) throw new BadValue('is not UTF-8 text')
    const until = from + lengthInString(run, start, end)
    out[at + i] = text.substring(from, until)
    start = end
    from = until
  }
}

/** Strict UTF-8 without U+0000. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.includes(0)) throw new BadValue('holds a NUL character')
  try {
    return decoder.decode(bytes)
  } catch {
    throw new BadValue('is not UTF-8 text')
  }
}

/** How many UTF-16 units the UTF-8 bytes become. */
export function lengthInString(bytes: Uint8Array, start: number, end: number): number {
  let units = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i] ?? 0
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1
  }
  return units
}

/** Postgres' jsonb holds neither U+0000 nor half a surrogate pair. */
export function checkJsonText(text: string): string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadValue('is not JSON')
  }
  if (text.includes('\\u') && !isHeldByJsonb(value))
    throw new BadValue('holds a NUL character or half a surrogate pair')
  return text
}

export function checkText(text: string): string {
  if (text.includes('\0')) throw new BadValue('holds a NUL character')
  if (!text.isWellFormed()) throw new BadValue('holds half a surrogate pair')
  return text
}

/** Without recursion: a tenant's JSON may be nested as deep as it likes. */
function isHeldByJsonb(root: unknown): boolean {
  const open: unknown[] = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) return false
    if (value !== null && typeof value === 'object')
      open.push(...Object.keys(value), ...(Object.values(value) as unknown[]))
  }
  return true
}

/** A list of that length, to be filled completely. */
export function roomForText(length: number): string[] {
  const values: string[] = []
  values.length = length
  return values
}

/** A piece of a value for a message: short, on one line. */
export function excerpt(text: string): string {
  const line = text.slice(0, 41).replaceAll(/\s+/g, ' ')
  return JSON.stringify(line.length > 40 ? `${line.slice(0, 39)}…` : line)
}
