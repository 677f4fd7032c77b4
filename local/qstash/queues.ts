import type { Clock } from './clock.ts'
import { notFound } from './failure.ts'
import { Gate } from './gate.ts'
import type { Journal } from './journal.ts'
import type { Pending } from './message.ts'

type Stored = { parallelism: number; isPaused: boolean; createdAt: number; updatedAt: number }

class QueueGate extends Gate {
  isPaused = false

  protected override admits(): boolean {
    return !this.isPaused
  }
}

type Queue = { gate: QueueGate; createdAt: number; updatedAt: number; lag: number }

/** Named queues; a message holds its slot in the queue until it is finished, retries included, so order is kept. */
export class Queues {
  readonly #queues = new Map<string, Queue>()
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #next: (pending: Pending) => void

  constructor(clock: Clock, journal: Journal, next: (pending: Pending) => void) {
    this.#clock = clock
    this.#journal = journal
    this.#next = next
    for (const [name, stored] of journal.read<Stored>('queue')) {
      const queue = this.#create(name, stored.createdAt)
      queue.gate.limit = stored.parallelism
      queue.gate.isPaused = stored.isPaused
      queue.updatedAt = stored.updatedAt
    }
    journal.keep('queue', () => [...this.#queues].map(([name, queue]) => [name, store(queue)]))
  }

  upsert(name: string, change: { parallelism?: number; isPaused?: boolean }): void {
    const queue = this.#getOrCreate(name)
    if (change.parallelism !== undefined) queue.gate.limit = change.parallelism
    if (change.isPaused !== undefined) queue.gate.isPaused = change.isPaused
    queue.updatedAt = this.#clock.now()
    this.#journal.put('queue', name, store(queue))
    queue.gate.drain()
  }

  view(name: string): Record<string, unknown> {
    const queue = this.#queues.get(name)
    if (!queue) throw notFound(`queue ${name} not found`)
    const { gate, createdAt, updatedAt, lag } = queue
    return { name, createdAt, updatedAt, parallelism: gate.limit, paused: gate.isPaused, lag }
  }

  views(): Record<string, unknown>[] {
    return [...this.#queues.keys()].map((name) => this.view(name))
  }

  remove(name: string): void {
    if (!this.#queues.delete(name)) throw notFound(`queue ${name} not found`)
    this.#journal.delete('queue', name)
  }

  gate(name: string): Gate {
    return this.#getOrCreate(name).gate
  }

  /** A message of this queue was accepted. */
  expect(name: string): void {
    this.#getOrCreate(name).lag++
  }

  /** A message of this queue is finished. */
  leave(name: string, heldSlot: boolean): void {
    const queue = this.#queues.get(name)
    if (!queue) return
    queue.lag--
    if (heldSlot) queue.gate.leave()
  }

  /** How many wait here that no one will let through by itself. */
  pausedCount(): number {
    let count = 0
    for (const { gate } of this.#queues.values()) if (gate.isPaused) count += gate.waitingCount
    return count
  }

  waitingCount(): number {
    let count = 0
    for (const { gate } of this.#queues.values()) count += gate.waitingCount
    return count
  }

  #getOrCreate(name: string): Queue {
    return this.#queues.get(name) ?? this.#create(name)
  }

  #create(name: string, createdAt = this.#clock.now()): Queue {
    const queue = { gate: new QueueGate(1, this.#next), createdAt, updatedAt: createdAt, lag: 0 }
    this.#queues.set(name, queue)
    this.#journal.put('queue', name, store(queue))
    return queue
  }
}

const store = ({ gate, createdAt, updatedAt }: Queue): Stored => ({
  parallelism: gate.limit,
  isPaused: gate.isPaused,
  createdAt,
  updatedAt,
})
