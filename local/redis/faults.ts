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

export type RedisFaultOptions = {
  /** How many requests it strikes; for good when not given. */
  times?: number
  /** Strikes only requests with a command that this accepts. A subscription counts as the command `subscribe`. */
  when?: (command: Command) => boolean
}

type Armed = { fault: RedisFault; left: number; when: ((command: Command) => boolean) | undefined }

export class RedisFaults {
  readonly #flushScripts: () => Promise<void>
  readonly #cutStreams: () => number
  #armed: Armed[] = []

  constructor(flushScripts: () => Promise<void>, cutStreams: () => number) {
    this.#flushScripts = flushScripts
    this.#cutStreams = cutStreams
  }

  /** Arms a fault and gives the function that takes it back. Several may be armed; each strikes by its own count. */
  inject(fault: RedisFault, { times = Infinity, when }: RedisFaultOptions = {}): () => void {
    const armed = { fault, left: times, when }
    this.#armed.push(armed)
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed)
    }
  }

  clear(): void {
    this.#armed = []
  }

  /** Makes Redis forget every script now. */
  flushScripts(): Promise<void> {
    return this.#flushScripts()
  }

  /** Cuts every subscription now and says how many there were. */
  cutStreams(): number {
    return this.#cutStreams()
  }

  get isArmed(): boolean {
    return this.#armed.length > 0
  }

  /** The faults that strike a request with these commands. */
  strike(commands: readonly Command[]): RedisFault[] {
    const struck = this.#armed.filter(({ when }) => when === undefined || commands.some(when))
    for (const each of struck) each.left--
    this.#armed = this.#armed.filter(({ left }) => left > 0)
    return struck.map(({ fault }) => fault)
  }
}
