import { ArmedFaults } from '../armed-faults.ts'
import type { Command } from './engine.ts'

/** What goes wrong on command. All but `dropReply` strike before anything reaches Redis. */
export type RedisFault =
  /** HTTP 401, as with a token that was taken back. */
  | { kind: 'unauthorized' }
  /** The connection is closed without an answer. */
  | { kind: 'refuse' }
  /** An answer that is an error: 400 for what Redis says, 500 or 503 for what is in front of it. */
  | { kind: 'error'; status: number; message: string }
  | { kind: 'latency'; ms: number }
  /** Redis has forgotten every script. */
  | { kind: 'flushScripts' }
  /** The commands run; then the connection is closed without an answer. */
  | { kind: 'dropReply' }

/** They strike by the commands of a request; a subscription counts as the command `subscribe`. */
export class RedisFaults extends ArmedFaults<RedisFault, Command> {
  readonly #flushScripts: () => Promise<void>
  readonly #cutStreams: () => number

  constructor(flushScripts: () => Promise<void>, cutStreams: () => number) {
    super()
    this.#flushScripts = flushScripts
    this.#cutStreams = cutStreams
  }

  /** Makes Redis forget every script now. */
  flushScripts(): Promise<void> {
    return this.#flushScripts()
  }

  /** Cuts every subscription now and says how many there were. */
  cutStreams(): number {
    return this.#cutStreams()
  }
}
