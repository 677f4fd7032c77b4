import type { Client } from '@neondatabase/serverless'
import { joined } from '#src/domain/pieces.ts'
import { sqlStateOf } from './failure.ts'
import { FrugalWebSocket } from './frugal-web-socket.ts'
import { encodeStatement, syncMessage, type Param } from './wire.ts'

export type BulkStatement = { text: string; params: readonly Param[] }

/** One frame of the socket; well under what a proxy takes. */
const frameBytes = 512 * 1024
const pieceBytes = 64 * 1024
/** Signature, flags and the length of an extension that is empty. */
const copyHeaderBytes = 19

/** A failure that the server reported, by its SQLSTATE; its message may hold values, so it is never shown. */
export class DatabaseFailure extends Error {
  override readonly name = 'DatabaseFailure'
  readonly code: string
  constructor(code: string, cause: unknown) {
    super(`the database refused (${code})`, { cause })
    this.code = code
  }
}

type Connection = {
  stream: { write(bytes: Uint8Array): boolean }
}

/**
 * A session for moving rows. Each `transact` is one implicit transaction, pipelined in one round trip: the claim, the
 * statements, Sync. Parameters that are bytes are bound in PostgreSQL's binary format.
 */
export class BulkSession {
  private readonly client: Client
  private readonly claim: () => Promise<string>
  /** The driver notices once that its connection is gone, and leaves what is asked of it later without an answer. */
  private readonly gone: Promise<void>
  private isGone = false

  private constructor(client: Client, claim: () => Promise<string>) {
    this.client = client
    this.claim = claim
    this.gone = new Promise((resolve) => {
      const note = () => {
        this.isGone = true
        resolve()
      }
      client.on('error', note)
      client.on('end', note)
    })
  }

  static async open(makeClient: () => Client, claim: () => Promise<string>): Promise<BulkSession> {
    const client = makeClient()
    client.neonConfig.coalesceWrites = false
    client.neonConfig.webSocketConstructor = FrugalWebSocket
    const session = new BulkSession(client, claim)
    try {
      await client.connect()
    } catch (cause) {
      throw new DatabaseFailure(sqlStateOf(cause) ?? '08006', cause)
    }
    return session
  }

  /** Runs the statements as one transaction and gives the number of rows that each touched. */
  async transact(statements: readonly BulkStatement[], signal?: AbortSignal): Promise<number[]> {
    const exchange = new Exchange([await this.claimStatement(), ...statements])
    const [, ...counts] = await this.run(exchange, signal)
    return counts
  }

  /**
   * Streams what a SELECT gives as PostgreSQL's binary COPY tuples, without its header and trailer. Nothing holds the
   * server back while the caller is slow, so ask for a bounded range of rows a time. A piece is good until the next.
   */
  async *copyOut(select: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const copy: BulkStatement = { text: `copy (${select}) to stdout with (format binary)`, params: [] }
    const exchange = new Exchange([await this.claimStatement(), copy])
    const done = this.run(exchange, signal)
    done.catch(() => undefined)
    yield* exchange.tuples()
    await done
  }

  async close(): Promise<void> {
    if (!this.isGone) await Promise.race([this.client.end().catch(() => undefined), this.gone])
  }

  private async claimStatement(): Promise<BulkStatement> {
    return { text: `select set_config('app.claim', $1, true)`, params: [await this.claim()] }
  }

  private async run(exchange: Exchange, signal?: AbortSignal): Promise<number[]> {
    signal?.throwIfAborted()
    if (this.isGone) throw new DatabaseFailure('08006', undefined)
    const lost = (cause?: unknown) => exchange.fail(new DatabaseFailure('08006', cause))
    const stop = () => {
      exchange.fail(signal?.reason)
      // Closing the session is what cancels the statement: the gateway ends the backend's work.
      void this.close()
    }
    this.client.once('error', lost)
    this.client.once('end', lost)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      this.client.query(exchange as never)
      return await exchange.finished
    } finally {
      this.client.off('error', lost)
      this.client.off('end', lost)
      signal?.removeEventListener('abort', stop)
    }
  }
}

/** What the driver's client calls while one pipelined exchange is under way (its Submittable interface). */
class Exchange {
  readonly finished: Promise<number[]>
  /** The driver looks for one and sets its own when it is absent. */
  callback: () => void = () => undefined
  private readonly statements: readonly BulkStatement[]
  private readonly counts: number[] = []
  private resolve: (counts: number[]) => void = () => undefined
  private reject: (reason: unknown) => void = () => undefined
  private failure: unknown
  private readonly chunks: Uint8Array[] = []
  private piece: Uint8Array = new Uint8Array(pieceBytes)
  private filled = 0
  private isBegun = false
  private readonly free: Uint8Array[] = []
  private over = false
  private wake: () => void = () => undefined

  constructor(statements: readonly BulkStatement[]) {
    this.statements = statements
    this.finished = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  /** Small pieces are joined, large ones are sent as they are, a frame's worth at a time. */
  submit(connection: Connection): void {
    let small: Uint8Array[] = []
    let size = 0
    const flush = () => {
      if (size > 0) connection.stream.write(joined(small, size))
      small = []
      size = 0
    }
    const put = (bytes: Uint8Array) => {
      if (bytes.length < pieceBytes) {
        small.push(bytes)
        size += bytes.length
        if (size >= pieceBytes) flush()
        return
      }
      flush()
      for (let at = 0; at < bytes.length; at += frameBytes)
        connection.stream.write(bytes.subarray(at, at + frameBytes))
    }
    for (const { text, params } of this.statements)
      for (const bytes of encodeStatement(text, params)) put(bytes)
    put(syncMessage)
    flush()
  }

  /** Each piece is good until the next one is asked for; then its memory is written again. */
  async *tuples(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.chunks.shift()
      if (chunk) {
        yield chunk
        this.free.push(new Uint8Array(chunk.buffer))
      } else if (this.over) {
        return
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
    }
  }

  fail(reason: unknown): void {
    this.failure ??= reason
    this.end()
  }

  /**
   * A tuple a call, in a view of the receive buffer that is used again: copied, and joined to pieces worth passing on. The
   * first one has the stream's header before it; the trailer comes alone, as a tuple of minus one fields.
   */
  handleCopyData({ chunk }: { chunk: Uint8Array }): void {
    const tuple = this.isBegun ? chunk : chunk.subarray(copyHeaderBytes)
    this.isBegun = true
    if (tuple.length === 0 || (tuple.length === 2 && tuple[0] === 0xff && tuple[1] === 0xff)) return
    if (this.filled + tuple.length > this.piece.length) {
      this.passOn()
      if (tuple.length > this.piece.length) this.piece = new Uint8Array(tuple.length)
    }
    this.piece.set(tuple, this.filled)
    this.filled += tuple.length
  }

  private passOn(): void {
    if (this.filled === 0) return
    this.chunks.push(this.piece.subarray(0, this.filled))
    this.piece = this.free.pop() ?? new Uint8Array(pieceBytes)
    this.filled = 0
    this.wake()
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.counts.push(Number(/(\d+)$/.exec(text)?.[1] ?? 0))
  }

  /** The last that is heard: after an error the driver tells nobody that the server is ready again. */
  handleError(error: { code?: string }): void {
    this.fail(new DatabaseFailure(error.code ?? '08006', error))
  }

  handleReadyForQuery(): void {
    this.end()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}

  private end(): void {
    if (this.over) return
    this.passOn()
    this.over = true
    this.wake()
    if (this.failure === undefined) this.resolve(this.counts)
    else this.reject(this.failure)
  }
}
