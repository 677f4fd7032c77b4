import { connect, type Socket } from 'node:net'

import { BatchReply, type Batch } from './batch.ts'
import { Failure, parseErrorResponse } from './failure.ts'
import { cancelRequest, Messages } from './messages.ts'
import { Scram } from './scram.ts'
import { StatementCache } from './statement-cache.ts'

export type Server = { host: string; port: number }
export type Login = { user: string; database: string; password: string }

/** What DISCARD ALL does, but for prepared statements and cached plans: those do not change what a query means. */
const resets = [
  'CLOSE ALL',
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ALL',
  'UNLISTEN *',
  'SELECT pg_catalog.pg_advisory_unlock_all()',
  'DISCARD TEMP',
  'DISCARD SEQUENCES',
]

type Job = {
  batch: Batch
  reply: BatchReply
  usesNames: boolean
  resolve(json: Buffer): void
  reject(failure: Failure): void
}

/**
 * One authenticated connection to PostgreSQL that runs one batch at a time.
 *
 * A batch goes out in one write: BEGIN, each statement, COMMIT, Sync; and behind it, as a second unit, everything
 * that resets the session, so that no request sees what another left behind, whatever a function did. The caller has
 * its answer after the first unit; `isIdle` turns true after the second. When a batch ran a command that prepares
 * statements, or may hide one that does, DISCARD ALL follows.
 */
export class Connection {
  readonly #socket: Socket
  readonly #server: Server
  readonly #onIdle: (connection: Connection) => void
  readonly #onClose: (connection: Connection) => void
  readonly #statements = new StatementCache()
  #job: Job | undefined
  /** A batch to run again once the session is clean. */
  #next: Job | undefined
  /** Units of cleaning under way. */
  #cleaning = 0
  #hasCleaningFailed = false
  #isSpent = false
  #isClosed = false
  #failure: Failure | undefined
  #process: { id: number; secret: number } | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #wantedBytes = 5
  #login: { login: Login; scram?: Scram } | undefined

  constructor(
    server: Server,
    login: Login,
    listeners: { idle(connection: Connection): void; close(connection: Connection, failure: Failure): void },
  ) {
    this.#server = server
    this.#login = { login }
    this.#onIdle = (connection) => listeners.idle(connection)
    this.#onClose = (connection) => listeners.close(connection, this.#failure ?? cannotConnect())
    const buffer = Buffer.allocUnsafeSlow(65_536)
    const callback = (size: number) => {
      this.#receive(buffer.subarray(0, size))
      return true
    }
    this.#socket = connect({ ...server, noDelay: true, onread: { buffer, callback } })
    this.#socket.on('connect', () => {
      const out = new Messages(256)
      out.startup({ user: login.user, database: login.database, client_encoding: 'UTF8' })
      this.#socket.write(out.written())
    })
    this.#socket.on('error', () => undefined)
    this.#socket.on('close', () => this.#closed())
  }

  get isCleaning(): boolean {
    return this.#job === undefined && this.#next === undefined && this.#cleaning > 0 && !this.#isSpent
  }

  run(batch: Batch): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#send({ batch, reply: new BatchReply(batch), usesNames: true, resolve, reject })
    })
  }

  /** Asks the server to stop what runs here. A late cancel could hit the next batch, so there will be none. */
  cancel(batch: Batch): void {
    if (this.#job?.batch !== batch || !this.#process) return
    this.#isSpent = true
    const request = cancelRequest(this.#process.id, this.#process.secret)
    const socket = connect(this.#server, () => socket.end(request))
    socket.on('error', () => undefined)
  }

  end(): void {
    const out = new Messages(8)
    out.terminate()
    this.#socket.end(out.written())
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #send(job: Job): void {
    const { statements, begin } = job.batch
    const out = new Messages(1024)
    this.#job = job
    if (begin !== undefined) this.#command(out, begin)
    for (const { sql, parameters } of statements) {
      const name = job.usesNames
        ? this.#statements.prepare(out, sql, parameters.length)
        : this.#statements.prepareUnnamed(out, sql)
      out.bind(name, parameters)
      out.describeAndExecute()
    }
    if (begin !== undefined) this.#command(out, 'COMMIT')
    out.sync()
    this.#statements.unitSent()
    this.#appendResets(out)
    this.#socket.write(out.written())
  }

  #command(out: Messages, sql: string): void {
    out.bind(this.#statements.prepareCommand(out, sql), [])
    out.execute()
  }

  #appendResets(out: Messages): void {
    for (const each of resets) this.#command(out, each)
    out.sync()
    this.#statements.unitSent()
    this.#cleaning++
  }

  #receive(chunk: Buffer): void {
    let data = chunk
    if (this.#heldBytes > 0) {
      this.#hold(chunk)
      if (this.#heldBytes < this.#wantedBytes) return
      data = Buffer.concat(this.#held)
      this.#held = []
      this.#heldBytes = 0
    }
    let at = 0
    while (data.length - at >= 5) {
      const end = at + 1 + data.readInt32BE(at + 1)
      if (end > data.length) break
      this.#message(data[at] ?? 0, data, at + 5, end)
      if (this.#isClosed) return
      at = end
    }
    const left = data.length - at
    if (left === 0) return
    this.#wantedBytes = left >= 5 ? data.readInt32BE(at + 1) + 1 : 5
    this.#hold(data.subarray(at))
  }

  /** The socket's read buffer is used again at once, so what is kept is copied. */
  #hold(part: Buffer): void {
    this.#held.push(Buffer.from(part))
    this.#heldBytes += part.length
  }

  #message(type: number, data: Buffer, start: number, end: number): void {
    switch (type) {
      case 0x44: // DataRow
        this.#reply()?.row(data, start)
        if (this.#job?.reply.failure) this.destroy()
        return
      case 0x31: // ParseComplete
        return this.#statements.parseCompleted()
      case 0x54: // RowDescription
        return this.#reply()?.columns(data, start, end)
      case 0x43: // CommandComplete
        return this.#reply()?.complete(data.toString('latin1', start, end - 1))
      case 0x49: // EmptyQueryResponse
        return this.#reply()?.complete('')
      case 0x45: // ErrorResponse
        return this.#error(data, start)
      case 0x5a: // ReadyForQuery
        return this.#ready(data[start] === 0x49)
      case 0x52: // Authentication…
        return this.#authenticate(data, start, end)
      case 0x4b: // BackendKeyData
        this.#process = { id: data.readInt32BE(start), secret: data.readInt32BE(start + 4) }
        return
      case 0x47: // CopyInResponse: the server would wait for data that HTTP cannot bring
        if (this.#job) this.#job.reply.failure ??= copyRefused()
        return this.destroy()
      case 0x48: // CopyOutResponse
        if (this.#job) this.#job.reply.failure ??= copyRefused()
        return
    }
  }

  /** Replies to the resets are nobody's. */
  #reply(): BatchReply | undefined {
    return this.#job?.reply
  }

  #error(data: Buffer, start: number): void {
    const failure = new Failure(400, parseErrorResponse(data, start))
    if (this.#job) this.#job.reply.failure ??= failure
    else if (this.#login) this.#failure = failure
    else this.#hasCleaningFailed = true
  }

  #ready(isOutsideTransaction: boolean): void {
    if (this.#login) {
      this.#login = undefined
      return this.#onIdle(this)
    }
    this.#statements.unitAnswered()
    if (this.#job) return this.#answered(this.#job, isOutsideTransaction)
    this.#cleaning--
    const hasFailed = this.#hasCleaningFailed
    this.#hasCleaningFailed = false
    if (this.#cleaning > 0) return
    if (hasFailed) return this.destroy()
    if (this.#isSpent) return this.end()
    if (!this.#next) return this.#onIdle(this)
    const job = this.#next
    this.#next = undefined
    this.#send(job)
  }

  #answered(job: Job, isOutsideTransaction: boolean): void {
    this.#job = undefined
    const { failure } = job.reply
    // The resets behind a batch that failed, or left its transaction open, were refused or are about to be undone.
    if (!isOutsideTransaction) this.#clean('ROLLBACK')
    if (failure && job.usesNames && !this.#isSpent && isStale(failure)) {
      this.#clean('DISCARD ALL')
      this.#next = { ...job, usesNames: false, reply: new BatchReply(job.batch) }
      return
    }
    if (job.reply.mayHavePrepared) this.#clean('DISCARD ALL')
    if (failure) job.reject(failure)
    else job.resolve(job.reply.json())
  }

  #clean(command: 'ROLLBACK' | 'DISCARD ALL'): void {
    const out = new Messages(1024)
    out.query(command)
    this.#statements.unitSent()
    this.#cleaning++
    if (command === 'DISCARD ALL') this.#statements.forget()
    this.#appendResets(out)
    this.#socket.write(out.written())
  }

  #authenticate(data: Buffer, start: number, end: number): void {
    if (!this.#login) return
    const { login } = this.#login
    const out = new Messages(256)
    switch (data.readInt32BE(start)) {
      case 0:
        return
      case 3:
        out.password(login.password)
        break
      case 10:
        this.#login.scram = new Scram(login.password)
        out.saslInitial('SCRAM-SHA-256', this.#login.scram.first())
        break
      case 11:
        out.saslResponse(this.#login.scram?.final(data.toString('utf8', start + 4, end)) ?? '')
        break
      case 12:
        return
      default:
        this.#failure = new Failure(500, {
          message: 'PostgreSQL asks for a way to log in that the gateway does not know',
        })
        return this.destroy()
    }
    this.#socket.write(out.written())
  }

  #closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const job = this.#job ?? this.#next
    this.#job = undefined
    job?.reject(job.reply.failure ?? new Failure(400, { message: 'connection closed' }))
    this.#onClose(this)
  }
}

/** A statement parsed earlier no longer fits the tables: nothing was done yet, so the batch may start over. */
function isStale({ fields }: Failure): boolean {
  return fields.code === '26000' || (fields.code === '0A000' && fields.message.startsWith('cached plan'))
}

const cannotConnect = () => new Failure(500, { message: "Couldn't connect to compute node" })
const copyRefused = () =>
  new Failure(400, { message: 'COPY is not possible over HTTP', code: '0A000', severity: 'ERROR' })
