/** What goes wrong on command. All but `dropReply` strike before anything reaches the database. */
export type Fault =
  /** The connection is closed without an answer, for HTTP and WebSocket alike. */
  | { kind: 'refuse' }
  /** HTTP 500 with a text body, as from a broken proxy. */
  | { kind: 'serverError'; text?: string }
  /** HTTP 400 with this SQLSTATE, as from PostgreSQL: 40001, 57014, 53300 … */
  | { kind: 'sqlstate'; code: string; message?: string }
  | { kind: 'latency'; ms: number }
  /** The batch runs and commits; then the connection is closed without an answer. */
  | { kind: 'dropReply' }

export type FaultOptions = {
  /** How many requests it strikes; for good when not given. */
  times?: number
  /** Strikes only requests with a statement that this accepts. New WebSocket sessions have no statements. */
  when?: (sql: string) => boolean
}

type Armed = { fault: Fault; left: number; when: ((sql: string) => boolean) | undefined }

export class Faults {
  readonly #cutSessions: () => number
  #armed: Armed[] = []

  constructor(cutSessions: () => number) {
    this.#cutSessions = cutSessions
  }

  /** Arms a fault and gives the function that takes it back. Several may be armed; each strikes by its own count. */
  inject(fault: Fault, { times = Infinity, when }: FaultOptions = {}): () => void {
    const armed = { fault, left: times, when }
    this.#armed.push(armed)
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed)
    }
  }

  clear(): void {
    this.#armed = []
  }

  /** Cuts all WebSocket sessions now and says how many there were. */
  cutSessions(): number {
    return this.#cutSessions()
  }

  /** The faults that strike a request with these statements. */
  strike(statements: readonly string[]): Fault[] {
    if (this.#armed.length === 0) return []
    const struck = this.#armed.filter(({ when }) => when === undefined || statements.some(when))
    for (const each of struck) each.left--
    this.#armed = this.#armed.filter(({ left }) => left > 0)
    return struck.map(({ fault }) => fault)
  }
}
