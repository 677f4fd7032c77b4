import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const memorySection = 5
/** 48 MB: its stack takes 32, and the rest is more than an ordinary statement needs. It grows when that is too little. */
const pages = 768

/**
 * PostgreSQL's grammar as WebAssembly. As it is published it asks for 128 MB from the start, all that a Worker may have;
 * here it starts with what it needs.
 */
export async function readGrammar(): Promise<Uint8Array<ArrayBuffer>> {
  const file = createRequire(import.meta.url).resolve('libpg-query/wasm/libpg-query.wasm')
  const bytes = new Uint8Array(await readFile(file))
  for (let at = 8; at < bytes.length;) {
    const section = bytes[at]
    const size = leb128(bytes, at + 1)
    if (section !== memorySection) {
      at = size.end + size.value
      continue
    }
    // One memory: its count, its flags, then how many pages it starts with.
    const initial = leb128(bytes, size.end + 2)
    if (bytes[size.end] !== 1 || initial.end - size.end - 2 !== 2) break
    bytes.set([(pages & 127) | 128, pages >> 7], size.end + 2)
    return bytes
  }
  throw new Error(`${file} has no memory of its own where one was expected`)
}

function leb128(bytes: Uint8Array, from: number): { value: number; end: number } {
  let value = 0
  let at = from
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0
    value |= (byte & 127) << shift
    if (byte < 128) return { value, end: at }
  }
}
