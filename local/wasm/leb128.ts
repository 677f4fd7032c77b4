/** Reads WebAssembly's binary format from one end to the other. */
export class Reader {
  at: number
  private readonly source: Uint8Array
  constructor(source: Uint8Array, at = 0) {
    this.source = source
    this.at = at
  }
  isAtEnd(): boolean {
    return this.at >= this.source.length
  }
  byte(): number {
    const byte = this.source[this.at++]
    if (byte === undefined) throw new Error('the module ends too early')
    return byte
  }
  bytes(length: number): Uint8Array {
    if (this.at + length > this.source.length) throw new Error('the module ends too early')
    this.at += length
    return this.source.subarray(this.at - length, this.at)
  }
  rest(): Uint8Array {
    return this.bytes(this.source.length - this.at)
  }
  u32(): number {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = this.byte()
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  /** A number of any width whose value does not matter. */
  skipNumber(): void {
    while (this.byte() > 127);
  }
  /** Of a memory or a table: how many it starts with and how many it may have. */
  limits(): void {
    const flags = this.byte()
    this.skipNumber()
    if (flags & 1) this.skipNumber()
  }
}

export function unsigned(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) | 128)
  }
}

export function signed(value: bigint): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 127n)
    if (rest >> 6n === 0n || rest >> 6n === -1n) return [...bytes, low]
    bytes.push(low | 128)
  }
}
