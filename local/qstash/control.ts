import type { Attempts } from './attempt.ts'
import type { Broker, Finish } from './broker.ts'
import type { Clock } from './clock.ts'
import type { Deliveries, Delivery } from './deliveries.ts'
import type { Fault, FaultOptions, Faults } from './faults.ts'
import type { KeyPair, SigningKeys } from './signing-keys.ts'

export type IdleOptions = {
  /** Also waits for deliveries that are due within so many milliseconds, such as quick retries; 1,000 when not given. */
  withinMs?: number
}

type Parts = {
  attempts: Attempts
  broker: Broker
  clock: Clock
  deliveries: Deliveries
  faults: Faults
  keys: SigningKeys
}

/** What QStash does not offer and tests need; the same is under `/__test/` over HTTP. */
export class Control {
  readonly faults: Faults
  readonly #parts: Parts
  #idlers: { withinMs: number; wake: () => void }[] = []

  constructor(parts: Parts) {
    this.#parts = parts
    this.faults = parts.faults
    parts.broker.onQuiet = () => this.#wakeIdlers()
    parts.attempts.onDuplicateEnd = () => this.#wakeIdlers()
  }

  /** Arms a fault and gives the function that takes it back. */
  inject(fault: Fault, options?: FaultOptions): () => void {
    return this.faults.inject(fault, options)
  }

  /** Moves the time ahead: delays, retries, schedules, rate periods and the deduplication window. Says how many things fell due. */
  advance(ms: number): number {
    return this.#parts.clock.advance(ms)
  }

  now(): number {
    return this.#parts.clock.now()
  }

  /** Replaces every wait between attempts; undefined brings the real ones back. */
  setBackoff(ms: number | undefined): void {
    this.#parts.broker.fixedBackoffMs = ms
  }

  rotateKeys(): KeyPair {
    return this.#parts.keys.rotate()
  }

  deliveries(): readonly Delivery[] {
    return this.#parts.deliveries.list()
  }

  clearDeliveries(): void {
    this.#parts.deliveries.clear()
  }

  /** Tells of every message that is delivered, has failed for good or is cancelled. */
  onFinish(listener: (finish: Finish) => void): () => void {
    return this.#parts.broker.onFinish(listener)
  }

  /** Resolves when a message ends; at once when it is not known, because it has ended. */
  finished(messageId: string): Promise<void> {
    if (!this.#parts.broker.pending.has(messageId)) return Promise.resolve()
    return new Promise((done) => {
      const stop = this.onFinish((finish) => {
        if (finish.messageId !== messageId) return
        stop()
        done()
      })
    })
  }

  /** Resolves when nothing is in flight, waits for a slot or is due soon. What is paused or delayed does not count. */
  idle({ withinMs = 1_000 }: IdleOptions = {}): Promise<void> {
    return new Promise((wake) => {
      this.#idlers.push({ withinMs, wake })
      setImmediate(() => this.#wakeIdlers())
    })
  }

  #wakeIdlers(): void {
    if (this.#idlers.length === 0) return
    const { attempts, broker, clock } = this.#parts
    if (broker.global.active + attempts.duplicates > 0) return
    if (broker.waitingCount() > broker.pausedCount()) return
    const dueInMs = clock.nextDeliveryAt() - clock.now()
    this.#idlers = this.#idlers.filter(({ withinMs, wake }) => {
      if (dueInMs <= withinMs) return true
      wake()
      return false
    })
  }
}
