import { createHash } from 'node:crypto'

import type { Command } from './engine.ts'
import { Failure, type Reply } from './reply.ts'
import type { Word } from './resp.ts'

const most = 10_000

/**
 * Upstash runs scripts that begin with a line of flags which Redis does not know, so that line is dropped on the way.
 * The client goes on naming the script by the SHA-1 of what it sent; here is which one that is for Redis. Whether Redis
 * has the script is for Redis to say.
 */
export class Scripts {
  readonly #shaInRedis = new Map<string, string>()

  /** The command as Redis gets it. */
  translate(command: Command): Command {
    switch (command[0].toLowerCase()) {
      case 'eval':
      case 'eval_ro': {
        const [verb, script = '', ...rest] = command
        return [verb, this.#known(String(script)), ...rest]
      }
      case 'evalsha':
      case 'evalsha_ro': {
        const [verb, sha = '', ...rest] = command
        return [verb, this.#shaOf(sha), ...rest]
      }
      case 'script':
        return this.#translateScript(command)
      default:
        return command
    }
  }

  /** The answer as the client expects it. */
  translateReply(command: Command, reply: Reply): Reply {
    const [verb, what = '', script = ''] = command
    if (verb.toLowerCase() !== 'script' || String(what).toLowerCase() !== 'load') return reply
    return reply instanceof Failure ? reply : sha1(String(script))
  }

  #translateScript(command: Command): Command {
    const [verb, what = '', ...rest] = command
    switch (String(what).toLowerCase()) {
      case 'load':
        return [verb, what, ...rest.map((script) => this.#known(String(script)))]
      case 'exists':
        return [verb, what, ...rest.map((sha) => this.#shaOf(sha))]
      default:
        return command
    }
  }

  #known(script: string): string {
    if (!script.startsWith('#!')) return script
    const plain = withoutFlags(script)
    if (this.#shaInRedis.size >= most) this.#shaInRedis.clear()
    this.#shaInRedis.set(sha1(script), sha1(plain))
    return plain
  }

  #shaOf(sha: Word): Word {
    return this.#shaInRedis.get(String(sha).toLowerCase()) ?? sha
  }
}

/** The lines keep their numbers, for the messages of errors. */
const withoutFlags = (script: string): string => script.replace(/^#![^\n]*/, '')

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex')
