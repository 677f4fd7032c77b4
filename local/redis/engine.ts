import type { Reply } from './reply.ts'
import type { Word } from './resp.ts'

export type Command = readonly [string, ...Word[]]

export type EngineKind = 'redis-server' | 'mock'

/** A Redis to run commands on, whichever it is. */
export type Engine = {
  kind: EngineKind
  /** Runs commands in order, each for itself: one answer for each. */
  run(commands: readonly Command[]): Reply[] | Promise<Reply[]>
  /** Runs commands with nothing in between. When one of them is no command at all, none runs, and that is the answer. */
  transact(commands: readonly Command[]): Reply[] | Promise<Reply[]>
  /**
   * Sends every event of a channel, or every command that runs, until the returned function is called. Resolves when the
   * first event cannot be missed any more.
   */
  listen(how: Listening, onEvent: (event: string) => void, onEnd: () => void): Promise<() => void>
  stop(): Promise<void>
}

export type Listening = { kind: 'subscribe' | 'psubscribe'; names: readonly string[] } | { kind: 'monitor' }
