import type { Answer, Message, State } from './message.ts'

export type LogEntry = {
  order: number
  time: number
  state: State
  message: Message
  nextDeliveryTime?: number | undefined
  answer?: Answer | undefined
}

const entryLimit = 10_000
const byteLimit = 64 * 1024 * 1024

/** The newest entries; old ones make room, as they do at QStash after some days. */
export class Log {
  #entries: LogEntry[] = []
  #order = 0
  #bytes = 0

  add(state: State, message: Message, time: number, answer?: Answer, nextDeliveryTime?: number): void {
    this.#entries.push({ order: ++this.#order, time, state, message, nextDeliveryTime, answer })
    this.#bytes += weight(message, answer)
    if (this.#entries.length > entryLimit * 2 || this.#bytes > byteLimit) this.#makeRoom()
  }

  /** Oldest first. */
  entries(): readonly LogEntry[] {
    return this.#entries
  }

  #makeRoom(): void {
    this.#entries = this.#entries.slice(-Math.min(entryLimit, this.#entries.length >> 1))
    this.#bytes = 0
    for (const { message, answer } of this.#entries) this.#bytes += weight(message, answer)
  }
}

const weight = (message: Message, answer: Answer | undefined): number =>
  message.body.length + (answer?.body.length ?? 0) + 200
