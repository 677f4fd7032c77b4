import { ArmedFaults } from '../armed-faults.ts'

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

/** They strike by the statements of a request; new WebSocket sessions have none. */
export class Faults extends ArmedFaults<Fault, string> {
  readonly #cutSessions: () => number

  constructor(cutSessions: () => number) {
    super()
    this.#cutSessions = cutSessions
  }

  /** Cuts all WebSocket sessions now and says how many there were. */
  cutSessions(): number {
    return this.#cutSessions()
  }
}
