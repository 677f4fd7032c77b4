const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const slots = 1024
const longestKept = 24

/**
 * Decodes UTF-8 and gives the same string object for the same short text again: most columns of text repeat a few
 * values, and a repeated one costs neither a call of the decoder nor memory.
 */
export class TextReader {
  private readonly kept: (string | undefined)[] = Array.from({ length: slots })

  read(bytes: Uint8Array, at: number, end: number): string {
    const length = end - at
    if (length > longestKept) return decoder.decode(bytes.subarray(at, end))
    let hash = length
    for (let i = at; i < end; i++) {
      const byte = bytes[i] ?? 0
      if (byte > 127) return decoder.decode(bytes.subarray(at, end))
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const slot = (hash ^ (hash >>> 15)) & (slots - 1)
    const kept = this.kept[slot]
    if (kept !== undefined && kept.length === length && isSame(kept, bytes, at)) return kept
    return (this.kept[slot] = decoder.decode(bytes.subarray(at, end)))
  }
}

function isSame(text: string, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[at + i]) return false
  return true
}
