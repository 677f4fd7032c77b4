import type { Client, Connection, Submittable } from 'pg'

/** Large enough that a message costs nothing beside its bytes; a few are on their way while the next fills. */
const messageBytes = 128 * 1024
const messagesInFlight = 4
const headerBytes = 5

/** `PGCOPY\n\xff\r\n\0`, no flags, no extension. */
const fileHeader = Uint8Array.of(80, 71, 67, 79, 80, 89, 10, 255, 13, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0)
const fileTrailer = Uint8Array.of(255, 255)

/**
 * Sends rows in PostgreSQL's binary tuple format (borders between the pieces mean nothing) through `copy … from stdin
 * (format binary)`; gives how many rows the server took. Whatever fails, the session is ready for its next statement or
 * dead: when the source of the rows fails, the server is told so and keeps none of them.
 */
export async function copyIn(client: Client, sql: string, rows: AsyncIterable<Uint8Array>): Promise<number> {
  const exchange = new CopyInExchange(sql)
  client.query(exchange)
  await exchange.ready
  const out = new CopyMessages(exchange)
  try {
    await out.put(fileHeader)
    for await (const piece of watched(rows)) {
      if (exchange.isOver()) break
      if (!out.tryPut(piece)) await out.put(piece)
    }
    await out.put(fileTrailer)
    await out.flush()
  } catch (cause) {
    exchange.giveUp()
    await exchange.finished.catch(() => undefined)
    throw cause
  }
  exchange.done()
  return exchange.finished
}

/** What the source of the rows threw: for the caller to explain, unlike what the server or the socket says. */
export class RowSourceFailure extends Error {
  override readonly name = 'RowSourceFailure'
}

/** The same rows; what their source throws is told apart from what sending them throws. */
function watched(rows: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const source = rows[Symbol.asyncIterator]()
      const failed = (cause: unknown): never => {
        throw new RowSourceFailure('the source of the rows failed', { cause })
      }
      return {
        next: () => source.next().catch(failed),
        return: async () => (await source.return?.()) ?? { done: true, value: undefined },
      }
    },
  }
}

/** CopyData messages, each filled to the brim, in a ring of buffers that are used again once their bytes are sent. */
class CopyMessages {
  private readonly exchange: CopyInExchange
  private readonly free: Uint8Array[] = []
  private made = 0
  private buffer: Uint8Array | undefined
  private at = headerBytes
  private wake: () => void = () => undefined
  private lost: unknown

  constructor(exchange: CopyInExchange) {
    this.exchange = exchange
    exchange.finished.then(
      () => this.wake(),
      () => this.wake(),
    )
  }

  /** What nearly every piece needs: room in the message that is being filled, and no waiting. */
  tryPut(bytes: Uint8Array): boolean {
    const { buffer, at } = this
    if (!buffer || at + bytes.length >= buffer.length) return false
    buffer.set(bytes, at)
    this.at = at + bytes.length
    return true
  }

  async put(bytes: Uint8Array): Promise<void> {
    let from = 0
    while (from < bytes.length) {
      const buffer = (this.buffer ??= await this.take())
      const length = Math.min(bytes.length - from, buffer.length - this.at)
      buffer.set(from === 0 && length === bytes.length ? bytes : bytes.subarray(from, from + length), this.at)
      this.at += length
      from += length
      if (this.at === buffer.length) this.send()
    }
  }

  /** Gives up the last message, and waits until all are on their way. */
  async flush(): Promise<void> {
    this.send()
    while (this.free.length < this.made && !this.exchange.isOver()) await this.turn()
  }

  private async take(): Promise<Uint8Array> {
    for (;;) {
      const buffer = this.free.pop()
      if (buffer) return buffer
      // After the server's refusal nothing that is sent matters; its reason is what the caller gets.
      if (this.made < messagesInFlight || this.exchange.isOver()) {
        this.made++
        return new Uint8Array(messageBytes)
      }
      await this.turn()
    }
  }

  private async turn(): Promise<void> {
    await new Promise<void>((resolve) => (this.wake = resolve))
    if (this.lost !== undefined && !this.exchange.isOver()) throw this.lost
  }

  private send(): void {
    const { buffer } = this
    if (!buffer || this.at === headerBytes) return
    buffer[0] = 0x64
    new DataView(buffer.buffer).setInt32(1, this.at - 1)
    const message = this.at === buffer.length ? buffer : buffer.subarray(0, this.at)
    this.buffer = undefined
    this.at = headerBytes
    this.exchange.write(message, (error) => {
      this.lost ??= error ?? undefined
      this.free.push(buffer)
      this.wake()
    })
  }
}

/** What the driver's client calls while the exchange is under way (its Submittable interface). */
class CopyInExchange implements Submittable {
  /** Settled when the server is ready for rows, or has refused. */
  readonly ready: Promise<void>
  readonly finished: Promise<number>
  /** The driver looks for one and sets its own when it is absent. */
  callback: () => void = () => undefined
  private readonly sql: string
  private connection: CopyConnection | undefined
  private begin: () => void = () => undefined
  private resolve: (rows: number) => void = () => undefined
  private reject: (reason: unknown) => void = () => undefined
  private rows = 0
  private over = false

  constructor(sql: string) {
    this.sql = sql
    this.finished = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.ready = Promise.race([
      new Promise<void>((begin) => (this.begin = begin)),
      this.finished.then(() => undefined),
    ])
    this.finished.catch(() => undefined)
  }

  isOver(): boolean {
    return this.over
  }

  write(bytes: Uint8Array, sent: (error?: Error | null) => void): void {
    if (this.connection && !this.over) this.connection.stream.write(bytes, sent)
    else sent()
  }

  done(): void {
    if (!this.over) this.connection?.endCopyFrom()
  }

  giveUp(): void {
    if (!this.over) this.connection?.sendCopyFail('the source of the rows failed')
  }

  submit(connection: Connection): void {
    this.connection = connection as CopyConnection
    connection.query(this.sql)
  }

  handleCopyInResponse(): void {
    this.begin()
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.rows = Number(/^COPY (\d+)$/.exec(text)?.[1] ?? 0)
  }

  handleError(error: unknown): void {
    this.over = true
    this.reject(error)
  }

  handleReadyForQuery(): void {
    this.over = true
    this.resolve(this.rows)
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
}

/** The driver's own methods that its types leave out. */
type CopyConnection = Connection & { endCopyFrom(): void; sendCopyFail(message: string): void }
