const utf8 = new TextEncoder()

/** Rows of (int8, text) in PostgreSQL's binary COPY tuple format, as the engine hands them on. */
export function tuples(rows: readonly (readonly [bigint | null, string | null])[]): Uint8Array {
  const encoded = rows.map(([id, text]) => ({ id, bytes: text === null ? null : utf8.encode(text) }))
  const size = encoded.reduce(
    (sum, { id, bytes }) => sum + 10 + (id === null ? 0 : 8) + (bytes?.length ?? 0),
    0,
  )
  const whole = new Uint8Array(size)
  const view = new DataView(whole.buffer)
  let at = 0
  for (const { id, bytes } of encoded) {
    view.setInt16(at, 2)
    view.setInt32(at + 2, id === null ? -1 : 8)
    at += 6
    if (id !== null) {
      view.setBigInt64(at, id)
      at += 8
    }
    view.setInt32(at, bytes ? bytes.length : -1)
    at += 4
    if (bytes) whole.set(bytes, at)
    at += bytes?.length ?? 0
  }
  return whole
}

/** The same bytes in pieces whose borders have nothing to do with rows. */
export async function* inPieces(bytes: Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Chunk number `chunk` of a load whose every chunk has `size` rows: ids go on, texts tell the id. */
export function chunkOf(chunk: number, size: number): [bigint, string][] {
  return Array.from({ length: size }, (_, i) => [BigInt(chunk * size + i), `row ${chunk * size + i}`])
}

export const chunk = (number: number, size: number): AsyncGenerator<Uint8Array> =>
  inPieces(tuples(chunkOf(number, size)), 1000)
