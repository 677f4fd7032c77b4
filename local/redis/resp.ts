import { Failure, ok, Status, type Reply } from './reply.ts'

/** A word of a command; bytes where it came as the body of a request. */
export type Word = string | Buffer

/** Commands as Redis reads them. */
export function toRequest(commands: readonly (readonly Word[])[]): string | Buffer {
  let text = ''
  const parts: Buffer[] = []
  for (const command of commands) {
    text += `*${command.length}\r\n`
    for (const word of command) {
      if (typeof word === 'string') {
        text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`
      } else {
        parts.push(Buffer.from(`${text}$${word.length}\r\n`), word)
        text = '\r\n'
      }
    }
  }
  return parts.length === 0 ? text : Buffer.concat([...parts, Buffer.from(text)])
}

const carriageReturn = 13

/** Cuts a stream of bytes into answers, wherever the network broke it. */
export class ReplyReader {
  #bytes: Buffer = Buffer.alloc(0)
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** Where the next word begins. */
  #at = 0
  /** How many bytes there must be before reading again makes sense. */
  #wanted = 0

  /** The answers that are complete with these bytes. */
  read(chunk: Buffer): Reply[] {
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#bytes.length + this.#waitingBytes < this.#wanted) return []
    this.#bytes = this.#bytes.length === 0 && this.#waiting.length === 1 ? chunk : this.#joined()
    this.#waiting = []
    this.#waitingBytes = 0
    this.#wanted = 0

    const replies: Reply[] = []
    this.#at = 0
    let done = 0
    for (let reply = this.#next(); reply !== undefined; reply = this.#next()) {
      replies.push(reply)
      done = this.#at
    }
    this.#bytes = this.#bytes.subarray(done)
    if (this.#wanted > 0) this.#wanted -= done
    return replies
  }

  #joined(): Buffer {
    return Buffer.concat([this.#bytes, ...this.#waiting])
  }

  /** The answer that begins here; undefined when its end is not there yet. */
  #next(): Reply | undefined {
    const end = this.#bytes.indexOf(carriageReturn, this.#at)
    if (end === -1 || end + 2 > this.#bytes.length) return undefined
    const kind = this.#bytes[this.#at]
    const line = this.#bytes.toString('latin1', this.#at + 1, end)
    this.#at = end + 2
    switch (kind) {
      case 0x24:
        return this.#bulk(Number(line))
      case 0x3a:
        return integer(line)
      case 0x2b:
        return line === 'OK' ? ok : new Status(line)
      case 0x2d:
        return new Failure(Buffer.from(line, 'latin1').toString())
      case 0x2a:
        return this.#list(Number(line))
      default:
        throw new Error(`Not an answer of Redis: byte ${kind}`)
    }
  }

  #bulk(length: number): Reply | undefined {
    if (length < 0) return null
    const end = this.#at + length
    if (end + 2 > this.#bytes.length) {
      this.#wanted = end + 2
      return undefined
    }
    const data = this.#bytes.subarray(this.#at, end)
    this.#at = end + 2
    return data
  }

  #list(length: number): Reply | undefined {
    if (length < 0) return null
    const list: Reply[] = []
    for (let i = 0; i < length; i++) {
      const each = this.#next()
      if (each === undefined) return undefined
      list.push(each)
    }
    return list
  }
}

function integer(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}
