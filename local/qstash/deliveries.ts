import type { Clock } from './clock.ts'
import type { Answer, Message } from './message.ts'

/** One attempt as the server saw it; without `endedAt` it is still in flight. */
export type Delivery = {
  messageId: string
  url: string
  method: string
  retried: number
  startedAt: number
  endedAt?: number
  status?: number
  error?: string
  /** What was done to it on command. */
  fault?: string
  body: Buffer
}

const limit = 10_000

/** The newest attempts, for tests to look at. */
export class Deliveries {
  readonly #clock: Clock
  #list: Delivery[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Notes that an attempt begins and gives the function that notes its end. */
  begin(
    { id, url, method, body }: Message,
    retried: number,
    fault: string | undefined,
  ): (answer: Answer) => void {
    const delivery: Delivery = { messageId: id, url, method, retried, startedAt: this.#clock.now(), body }
    if (fault !== undefined) delivery.fault = fault
    this.#list.push(delivery)
    if (this.#list.length > limit * 2) this.#list = this.#list.slice(-limit)
    return ({ status, error }) => {
      delivery.endedAt = this.#clock.now()
      if (status !== undefined) delivery.status = status
      if (error !== undefined) delivery.error = error
    }
  }

  list(): readonly Delivery[] {
    return this.#list
  }

  clear(): void {
    this.#list = []
  }
}
