import pg from 'pg'

import { StepFailure } from '#src/domain/failure.ts'
import type { PostgresConnection } from './config.ts'
import { copyIn, RowSourceFailure } from './copy-in.ts'
import { copyOut, type CopyDecoder } from './copy-out.ts'
import { explain } from './failure.ts'
import type { Lookup } from '../lookup.ts'
import { resolveTarget, type Target } from './resolve.ts'

export type SessionOptions = {
  /** The local stack's databases are on this machine. */
  allowPrivate?: boolean
  /** Instead of the platform's resolver. */
  lookup?: Lookup
  connectTimeoutMs?: number
  /** How long a statement waits for somebody else's lock. */
  lockTimeoutMs?: number
  /** Ends the session at once; what is under way fails with the signal's reason. */
  signal?: AbortSignal
}

export type Row = Record<string, unknown>

const connectTimeoutMs = 10_000
/** Longer than it takes to notice that the holder of a lock is dead. */
const lockTimeoutMs = 60_000
const closeTimeoutMs = 2_000

/**
 * Dead peers are noticed within a minute, so that the locks of a killed worker do not outlive it by hours; how long a
 * statement may take is ours to say, by the signal; text forms of dates and numbers do not depend on how the server is
 * set up.
 */
const sessionSettings = `
  set tcp_keepalives_idle = 20; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
  set idle_in_transaction_session_timeout = '5min'; set statement_timeout = 0;
  set datestyle = 'ISO'; set intervalstyle = 'iso_8601'; set timezone = 'UTC'; set extra_float_digits = 1;
  set bytea_output = 'hex'; set standard_conforming_strings = on`

/** One conversation with a tenant's server. Whatever fails in it fails in our words, with the connection's name. */
export class PostgresSession {
  readonly connection: PostgresConnection
  private readonly client: pg.Client
  private readonly signal: AbortSignal | undefined
  private readonly stop = () => this.destroy()

  private constructor(connection: PostgresConnection, target: Target, signal: AbortSignal | undefined) {
    this.connection = connection
    this.signal = signal
    const { config, secret } = connection
    this.client = new pg.Client({
      host: target.address,
      port: config.port,
      database: config.database,
      user: config.user,
      password: secret.password,
      application_name: 'weir',
      ssl: config.ssl === 'disable' ? false : tlsOptions(target, config.ssl === 'verify-full'),
    })
    // A server that goes away between two statements must not bring the process down; the next statement fails by itself.
    this.client.on('error', () => undefined)
    signal?.addEventListener('abort', this.stop, { once: true })
  }

  static async open(connection: PostgresConnection, options: SessionOptions = {}): Promise<PostgresSession> {
    options.signal?.throwIfAborted()
    const target = await resolveTarget(connection, options)
    options.signal?.throwIfAborted()
    const session = new PostgresSession(connection, target, options.signal)
    await session.connect(options)
    return session
  }

  /** One statement with parameters. */
  query(text: string, values: readonly (string | number | null)[] = []): Promise<Row[]> {
    return this.explained(async () => (await this.client.query<Row>(text, [...values])).rows)
  }

  /** Several statements in one round trip, without parameters; gives the rows of the last one that gave any. */
  script(text: string): Promise<Row[]> {
    return this.explained(async () => {
      const results = [await this.client.query<Row>(text)].flat()
      return results.findLast(({ fields }) => fields.length > 0)?.rows ?? []
    })
  }

  /** One statement; gives the number of rows that it touched. */
  execute(text: string): Promise<number> {
    return this.explained(async () => (await this.client.query(text)).rowCount ?? 0)
  }

  /** Commits what `work` did, or nothing of it. Statements read what others committed before them. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.script('begin isolation level read committed')
    try {
      const result = await work()
      await this.script('commit')
      return result
    } catch (cause) {
      await this.script('rollback').catch(() => undefined)
      throw cause
    }
  }

  copyIn(sql: string, rows: AsyncIterable<Uint8Array>): Promise<number> {
    return this.explained(() => copyIn(this.client, sql, rows))
  }

  /** `decode` takes the pieces of the binary stream as they come, and gives away (`emit`) what it made of them. */
  async *copyOut<T>(sql: string, decode: CopyDecoder<T>): AsyncGenerator<T> {
    const copy = copyOut(this.client, sql, decode)
    try {
      for (;;) {
        const next = await this.explained(() => copy.next())
        if (next.done) return
        yield next.value
      }
    } finally {
      await copy.return(undefined)
    }
  }

  /** Ends in order; the server rolls back what was not committed. */
  async close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.stop)
    const ended = this.client.end().catch(() => undefined)
    if ((await within(closeTimeoutMs, ended)) === 'late') this.destroy()
  }

  /** Cuts the line, as a crash would. */
  destroy(): void {
    this.client.connection.stream.destroy()
  }

  private async connect(options: SessionOptions): Promise<void> {
    const timeoutMs = options.connectTimeoutMs ?? connectTimeoutMs
    try {
      await this.explained(async () => {
        const connected = this.client.connect()
        connected.catch(() => undefined)
        if ((await within(timeoutMs, connected)) === 'late')
          throw Object.assign(new Error(), { code: 'ETIMEDOUT' })
        await this.client.query(
          `set lock_timeout = ${options.lockTimeoutMs ?? lockTimeoutMs}; ${sessionSettings}`,
        )
      })
    } catch (cause) {
      this.signal?.removeEventListener('abort', this.stop)
      this.destroy()
      throw this.connectFailure(cause)
    }
  }

  /** Workers take no certificate that is not publicly trusted, and say no more than that the connection is gone. */
  private connectFailure(cause: unknown): unknown {
    const { name, config } = this.connection
    if (!(cause instanceof StepFailure) || cause.code !== 'connection_lost' || config.ssl === 'disable')
      return cause
    const words = `no encrypted connection to ${config.host}:${config.port} could be made; is its certificate publicly trusted?`
    return new StepFailure('tls_failed', `Connection "${name}": ${words}`, { retryable: true })
  }

  private async explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (this.signal?.aborted) throw this.signal.reason
      throw cause instanceof RowSourceFailure ? cause.cause : explain(this.connection, cause)
    }
  }
}

function tlsOptions({ host, address }: Target, verify: boolean) {
  return { rejectUnauthorized: verify, ...(address === host ? {} : { servername: host }) }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), ms)))
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
