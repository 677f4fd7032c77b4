/** A buffer that grows; the writers of the PostgreSQL protocol and of JSON results share it. */
export class Bytes {
  buffer: Buffer
  length = 0

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  /** Makes room for `more` bytes after the present end. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  int16(value: number): void {
    this.reserve(2)
    this.length = this.buffer.writeUInt16BE(value, this.length)
  }

  int32(value: number): void {
    this.reserve(4)
    this.length = this.buffer.writeInt32BE(value, this.length)
  }

  text(value: string): void {
    // Three bytes are the most that UTF-8 needs for a UTF-16 unit; for long texts it pays to count.
    this.reserve(value.length < 4096 ? value.length * 3 : Buffer.byteLength(value))
    this.length += this.buffer.write(value, this.length)
  }

  bytes(value: Uint8Array): void {
    this.reserve(value.length)
    this.buffer.set(value, this.length)
    this.length += value.length
  }

  written(): Buffer {
    return this.buffer.subarray(0, this.length)
  }
}
