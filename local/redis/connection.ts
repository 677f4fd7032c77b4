import { createConnection, type Socket } from 'node:net'

import type { Reply } from './reply.ts'
import { ReplyReader, toRequest, type Word } from './resp.ts'

type Pending = {
  left: number
  replies: Reply[]
  resolve: (replies: Reply[]) => void
  reject: (cause: Error) => void
}

/** One connection to `redis-server`. What is asked in one turn of the event loop is one write. */
export class Connection {
  readonly #socket: Socket
  readonly #reader = new ReplyReader()
  readonly #onPush: ((reply: Reply) => void) | undefined
  readonly #ended: Promise<void>
  #pending: Pending[] = []
  #first = 0
  #isCorked = false
  #isOpen = true

  private constructor(socket: Socket, onPush?: (reply: Reply) => void) {
    this.#socket = socket
    this.#onPush = onPush
    socket.on('data', (chunk) => this.#receive(chunk))
    this.#ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isOpen = false
        for (const each of this.#pending.slice(this.#first)) each.reject(gone())
        this.#pending = []
        this.#first = 0
        resolve()
      })
    })
    socket.on('error', () => socket.destroy())
  }

  /** With `onPush`, answers that nobody asked for go there: messages of channels. */
  static open(path: string, onPush?: (reply: Reply) => void): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket, onPush))
      })
    })
  }

  get ended(): Promise<void> {
    return this.#ended
  }

  ask(commands: readonly (readonly Word[])[]): Promise<Reply[]> {
    if (!this.#isOpen) return Promise.reject(gone())
    if (commands.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#pending.push({ left: commands.length, replies: [], resolve, reject })
      this.tell(commands)
    })
  }

  /** Sends without waiting: the answers come as pushes. */
  tell(commands: readonly (readonly Word[])[]): void {
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#socket.cork()
      setImmediate(() => {
        this.#isCorked = false
        this.#socket.uncork()
      })
    }
    this.#socket.write(toRequest(commands))
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    for (const reply of this.#reader.read(chunk)) {
      const waiting = this.#pending[this.#first]
      if (waiting === undefined) {
        this.#onPush?.(reply)
        continue
      }
      waiting.replies.push(reply)
      if (--waiting.left > 0) continue
      this.#first++
      waiting.resolve(waiting.replies)
    }
    if (this.#first === this.#pending.length) this.#pending = []
    else if (this.#first > 1000) this.#pending = this.#pending.slice(this.#first)
    else return
    this.#first = 0
  }
}

const gone = (): Error => new Error('redis-server is gone')
