import { Bytes } from './bytes.ts'

/** What a frontend says in the PostgreSQL protocol, version 3.0. Texts are free of NUL: `hasNul` is checked before. */
export class Messages extends Bytes {
  startup(parameters: Record<string, string>): void {
    const start = this.#untyped()
    this.int32(196608)
    for (const [name, value] of Object.entries(parameters)) {
      this.#cstring(name)
      this.#cstring(value)
    }
    this.byte(0)
    this.#end(start)
  }

  password(password: string): void {
    const start = this.#begin(0x70)
    this.#cstring(password)
    this.#end(start)
  }

  /** The first answer of SCRAM-SHA-256: which mechanism, and the client's first message. */
  saslInitial(mechanism: string, message: string): void {
    const start = this.#begin(0x70)
    this.#cstring(mechanism)
    this.int32(Buffer.byteLength(message))
    this.text(message)
    this.#end(start)
  }

  saslResponse(message: string): void {
    const start = this.#begin(0x70)
    this.text(message)
    this.#end(start)
  }

  /** Simple query. */
  query(sql: string): void {
    const start = this.#begin(0x51)
    this.#cstring(sql)
    this.#end(start)
  }

  /** Parameter types are left to the server. */
  parse(name: string, sql: string): void {
    const start = this.#begin(0x50)
    this.#cstring(name)
    this.#cstring(sql)
    this.int16(0)
    this.#end(start)
  }

  /** Binds text parameters to the unnamed portal and asks for text results. */
  bind(name: string, parameters: readonly (string | null)[]): void {
    const start = this.#begin(0x42)
    this.byte(0)
    this.#cstring(name)
    this.int16(0)
    this.int16(parameters.length)
    for (const parameter of parameters) {
      const lengthAt = this.length
      this.int32(-1)
      if (parameter === null) continue
      this.text(parameter)
      this.buffer.writeInt32BE(this.length - lengthAt - 4, lengthAt)
    }
    this.int16(0)
    this.#end(start)
  }

  closeStatement(name: string): void {
    const start = this.#begin(0x43)
    this.byte(0x53)
    this.#cstring(name)
    this.#end(start)
  }

  /** Describe and Execute of the unnamed portal, all rows. */
  describeAndExecute(): void {
    this.bytes(describeAndExecute)
  }

  execute(): void {
    this.bytes(execute)
  }

  sync(): void {
    this.bytes(sync)
  }

  copyFail(reason: string): void {
    const start = this.#begin(0x66)
    this.#cstring(reason)
    this.#end(start)
  }

  terminate(): void {
    this.bytes(terminate)
  }

  #begin(type: number): number {
    this.byte(type)
    return this.#untyped()
  }

  #untyped(): number {
    this.int32(0)
    return this.length - 4
  }

  #end(lengthAt: number): void {
    this.buffer.writeInt32BE(this.length - lengthAt, lengthAt)
  }

  #cstring(value: string): void {
    this.text(value)
    this.byte(0)
  }
}

const execute = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0])
const describeAndExecute = Buffer.concat([Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0]), execute])
const sync = Buffer.from([0x53, 0, 0, 0, 4])
const terminate = Buffer.from([0x58, 0, 0, 0, 4])

export function cancelRequest(processId: number, secret: number): Buffer {
  const message = Buffer.alloc(16)
  message.writeInt32BE(16, 0)
  message.writeInt32BE(80877102, 4)
  message.writeInt32BE(processId, 8)
  message.writeInt32BE(secret, 12)
  return message
}
