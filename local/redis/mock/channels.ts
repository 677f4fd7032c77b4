import type { Listening } from '../engine.ts'
import type { Word } from '../resp.ts'
import { globTest } from './glob.ts'

type Listener = {
  onEvent: (event: string) => void
  names: readonly string[]
  tests: ((name: string) => boolean)[] | undefined
}

/** Who listens to which channel, and to the commands. */
export class Channels {
  readonly #listeners = new Set<Listener>()
  readonly #monitors = new Set<(event: string) => void>()

  listen(how: Listening, onEvent: (event: string) => void): () => void {
    if (how.kind === 'monitor') {
      onEvent('"OK"')
      this.#monitors.add(onEvent)
      return () => this.#monitors.delete(onEvent)
    }
    const { kind, names } = how
    const listener = { onEvent, names, tests: kind === 'psubscribe' ? names.map(globTest) : undefined }
    for (const [i, name] of names.entries()) onEvent(`${kind},${name},${i + 1}`)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  publish(channel: string, message: string): number {
    let heard = 0
    for (const { onEvent, names, tests } of this.#listeners) {
      for (const [i, name] of names.entries()) {
        if (tests ? !tests[i]?.(channel) : name !== channel) continue
        heard++
        onEvent(tests ? `pmessage,${name},${channel},${message}` : `message,${channel},${message}`)
      }
    }
    return heard
  }

  /** The answers of PUBSUB. */
  describe(what: string, args: readonly string[]): unknown {
    const plain = [...this.#listeners].flatMap(({ names, tests }) => (tests ? [] : names))
    switch (what) {
      case 'channels':
        return [...new Set(plain)].filter(globTest(args[0] ?? '*'))
      case 'numsub':
        return args.flatMap((name) => [name, plain.filter((each) => each === name).length])
      case 'numpat':
        return new Set([...this.#listeners].flatMap(({ names, tests }) => (tests ? names : []))).size
      default:
        throw new Error(`ERR unknown subcommand '${what}'. Try PUBSUB HELP.`)
    }
  }

  /** Shows a command to those who watch. */
  show(words: readonly Word[]): void {
    if (this.#monitors.size === 0) return
    const now = (Date.now() / 1000).toFixed(6)
    for (const monitor of this.#monitors) monitor(`${now} [0 127.0.0.1:0] ${words.map(quoted).join(' ')}`)
  }
}

const quoted = (word: Word): string => JSON.stringify(String(word))
