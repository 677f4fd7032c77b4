import type { Client, Connection, Submittable } from 'pg'

import { flowOf, type Flow } from './flow.ts'

/** Pieces are views of the driver's receive buffer, which it uses again: take what you need before you return. */
export type CopyDecoder<T> = {
  push(piece: Uint8Array, emit: (item: T) => void): void
  end(emit: (item: T) => void): void
}

/**
 * Runs `copy … to stdout (format binary)` and yields what the decoder makes of it. The server is held back while an
 * item waits, so that memory holds one item beside the caller's. Left half-way, the session is cut: nothing else stops
 * a COPY.
 */
export async function* copyOut<T>(client: Client, sql: string, decoder: CopyDecoder<T>): AsyncGenerator<T> {
  const exchange = new CopyOutExchange(sql, decoder, flowOf(client))
  client.query(exchange)
  try {
    for (;;) {
      const item = await exchange.next()
      if (item === undefined) return
      yield item
    }
  } finally {
    if (!exchange.isOver()) client.connection.stream.destroy()
  }
}

/** What the driver's client calls while the exchange is under way (its Submittable interface). */
class CopyOutExchange<T> implements Submittable {
  /** The driver looks for one and sets its own when it is absent. */
  callback: () => void = () => undefined
  private readonly sql: string
  private readonly decoder: CopyDecoder<T>
  private readonly flow: Flow
  private readonly items: T[] = []
  private wake: () => void = () => undefined
  private over = false
  private failure: { cause: unknown } | undefined

  constructor(sql: string, decoder: CopyDecoder<T>, flow: Flow) {
    this.sql = sql
    this.decoder = decoder
    this.flow = flow
  }

  isOver(): boolean {
    return this.over
  }

  async next(): Promise<T | undefined> {
    for (;;) {
      const item = this.items.shift()
      if (this.items.length === 0) this.flow.resume()
      if (item !== undefined) return item
      if (this.failure) throw this.failure.cause
      if (this.over) return undefined
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  submit(connection: Connection): void {
    connection.query(this.sql)
  }

  handleCopyData({ chunk }: { chunk: Uint8Array }): void {
    if (!this.failure) this.guarded(() => this.decoder.push(chunk, this.emit))
  }

  handleCommandComplete(): void {
    if (!this.failure) this.guarded(() => this.decoder.end(this.emit))
  }

  handleError(cause: unknown): void {
    this.failure ??= { cause }
    this.over = true
    this.wake()
  }

  handleReadyForQuery(): void {
    this.over = true
    this.wake()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}

  private readonly emit = (item: T): void => {
    this.items.push(item)
    this.flow.pause()
    this.wake()
  }

  /** An exception here would surface in the socket's own code; it belongs to whoever reads. */
  private guarded(work: () => void): void {
    try {
      work()
    } catch (cause) {
      this.failure = { cause }
      this.wake()
    }
  }
}
