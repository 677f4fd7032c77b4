import { Fifo } from './fifo.ts'
import type { Pending } from './message.ts'

/**
 * Lets a limited number of messages through at once; the others wait in their order. What may pass besides the number
 * is up to `admits`, asked before each passage and told of it by `passed`.
 */
export class Gate {
  readonly #waiting = new Fifo<Pending>()
  readonly #next: (pending: Pending) => void
  #cancelled = 0
  limit: number
  active = 0

  constructor(limit: number, next: (pending: Pending) => void) {
    this.limit = limit
    this.#next = next
  }

  get waitingCount(): number {
    return this.#waiting.size - this.#cancelled
  }

  /** Takes a slot and says so, or keeps the message waiting until `next` is called with it. */
  enter(pending: Pending): boolean {
    if (this.#waiting.size === 0 && this.#canPass()) {
      this.#pass()
      return true
    }
    this.#waiting.push(pending)
    return false
  }

  leave(): void {
    this.active--
    this.drain()
  }

  /** Lets through whoever may pass now: after a slot came free or a limit changed. */
  drain(): void {
    while (this.#waiting.size > 0 && this.#canPass()) {
      const pending = this.#waiting.shift()
      if (!pending) return
      if (pending.isCancelled) {
        this.#cancelled--
        continue
      }
      this.#pass()
      this.#next(pending)
    }
  }

  /** A message that waits here was cancelled. */
  forget(): void {
    this.#cancelled++
  }

  protected admits(): boolean {
    return true
  }

  protected passed(): void {}

  #canPass(): boolean {
    return this.active < this.limit && this.admits()
  }

  #pass(): void {
    this.active++
    this.passed()
  }
}
