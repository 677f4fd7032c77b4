import type { Batch } from './batch.ts'
import { Connection, type Login, type Server } from './connection.ts'
import { Failure } from './failure.ts'

/** More of them at work than cores only take turns: with 20 a burst of 1,000 runs took a fifth longer. */
const mostConnections = 8
/** Over all logins: PostgreSQL has 200, and WebSocket sessions need theirs. */
const mostInAll = 120
const idleMs = 15_000

/** A batch on its way: waiting, then running on a connection. */
export type Errand = { batch: Batch; isCancelled: boolean; connection?: Connection }

type Waiting = { errand: Errand; resolve(json: Buffer): void; reject(failure: unknown): void }

/** One pool for each login. A wrong password gets a pool of its own, which fails. */
export class Pools {
  readonly #server: Server
  readonly #pools = new Map<string, Pool>()
  readonly #sweep: NodeJS.Timeout

  constructor(server: Server) {
    this.#server = server
    this.#sweep = setInterval(() => this.#endIdle(), 5000).unref()
  }

  run(login: Login, errand: Errand): Promise<Buffer> {
    const key = JSON.stringify(login)
    let pool = this.#pools.get(key)
    if (!pool) this.#pools.set(key, (pool = new Pool(this.#server, login, () => this.#makeRoom())))
    return pool.run(errand)
  }

  end(): void {
    clearInterval(this.#sweep)
    for (const pool of this.#pools.values()) pool.end()
  }

  #makeRoom(): void {
    let count = 0
    for (const pool of this.#pools.values()) count += pool.size
    if (count < mostInAll) return
    for (const pool of this.#pools.values()) if (pool.endOneIdle()) return
  }

  #endIdle(): void {
    for (const [key, pool] of this.#pools) {
      pool.endIdleSince(Date.now() - idleMs)
      if (pool.size === 0) this.#pools.delete(key)
    }
  }
}

/** Connections of one login. The one used last is used next, so that few stay busy and the others end. */
class Pool {
  readonly #server: Server
  readonly #login: Login
  readonly #idle: { connection: Connection; since: number }[] = []
  readonly #waiting: Waiting[] = []
  readonly #all = new Set<Connection>()
  readonly #makeRoom: () => void
  #connecting = 0

  constructor(server: Server, login: Login, makeRoom: () => void) {
    this.#server = server
    this.#login = login
    this.#makeRoom = makeRoom
  }

  get size(): number {
    return this.#all.size
  }

  run(errand: Errand): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const waiting = { errand, resolve, reject }
      const free = this.#idle.pop()
      if (free) return start(free.connection, waiting)
      this.#waiting.push(waiting)
      this.#connectIfNeeded()
    })
  }

  end(): void {
    const failure = new Failure(500, { message: 'the gateway stops' })
    for (const waiting of this.#waiting.splice(0)) waiting.reject(failure)
    for (const connection of this.#all) connection.destroy()
  }

  /** Ends the connection that has been idle the longest. */
  endOneIdle(): boolean {
    const oldest = this.#idle.shift()
    oldest?.connection.end()
    return oldest !== undefined
  }

  endIdleSince(time: number): void {
    while (this.#idle[0] && this.#idle[0].since < time) this.endOneIdle()
  }

  /** A connection that only has to clean up is free in a moment, sooner than a new one would be. */
  #connectIfNeeded(): void {
    let cleaning = 0
    for (const each of this.#all) if (each.isCleaning) cleaning++
    while (this.#connecting + cleaning < this.#waiting.length && this.#all.size < mostConnections)
      this.#connect()
  }

  #connect(): void {
    this.#makeRoom()
    let isNew = true
    this.#connecting++
    const settled = () => {
      if (isNew) this.#connecting--
      isNew = false
    }
    const connection = new Connection(this.#server, this.#login, {
      idle: (free) => {
        settled()
        this.#free(free)
      },
      close: (closed, failure) => {
        const hasFailed = isNew
        settled()
        this.#all.delete(closed)
        const index = this.#idle.findIndex((each) => each.connection === closed)
        if (index >= 0) this.#idle.splice(index, 1)
        if (hasFailed) this.#couldNotConnect(failure)
        else this.#connectIfNeeded()
      },
    })
    this.#all.add(connection)
  }

  /** With other connections at work a request can wait for one of them; without, each attempt fails one request. */
  #couldNotConnect(failure: Failure): void {
    if (this.#all.size > this.#connecting) return
    this.#waiting.shift()?.reject(failure)
    this.#connectIfNeeded()
  }

  #free(connection: Connection): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (!next.errand.isCancelled) return start(connection, next)
    }
    this.#idle.push({ connection, since: Date.now() })
  }
}

function start(connection: Connection, waiting: Waiting): void {
  waiting.errand.connection = connection
  connection.run(waiting.errand.batch).then(
    (json) => waiting.resolve(json),
    (failure: unknown) => waiting.reject(failure),
  )
}

/** Takes a batch out of the queue, or has the server stop it. */
export function cancel(errand: Errand): void {
  errand.isCancelled = true
  errand.connection?.cancel(errand.batch)
}
