import type { Attempts } from './attempt.ts'
import { callbackMessage } from './callbacks.ts'
import type { Clock } from './clock.ts'
import type { DeadLetters } from './dead-letters.ts'
import { askedToWaitMs, backoffMs } from './delays.ts'
import type { FlowGates } from './flow-gates.ts'
import { Gate } from './gate.ts'
import type { Journal } from './journal.ts'
import type { Log } from './log.ts'
import type { Answer, Message, Pending } from './message.ts'
import type { Queues } from './queues.ts'
import { restoreMessage, storeMessage, type StoredMessage } from './stored-message.ts'

export type Stats = {
  published: number
  attempts: number
  delivered: number
  retried: number
  failed: number
  cancelled: number
}
export type Finish = { messageId: string; url: string; state: 'DELIVERED' | 'FAILED' | 'CANCELED' }

type Stored = { message: StoredMessage; retried: number; dueAt: number }
type Progress = { retried: number; dueAt: number }
type Parts = {
  clock: Clock
  journal: Journal
  log: Log
  deadLetters: DeadLetters
  attempts: Attempts
  globalParallelism: number
  gates: (next: (pending: Pending) => void) => { queues: Queues; flows: FlowGates }
}

/** Moves every message from its publish to its end: waits for its time, its slots, its attempts and its retries. */
export class Broker {
  readonly pending = new Map<string, Pending>()
  readonly stats: Stats = { published: 0, attempts: 0, delivered: 0, retried: 0, failed: 0, cancelled: 0 }
  readonly queues: Queues
  readonly flows: FlowGates
  readonly global: Gate
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #log: Log
  readonly #deadLetters: DeadLetters
  readonly #attempts: Attempts
  #isStopped = false
  #onQuiesced: () => void = () => {}
  readonly #onFinish = new Set<(finish: Finish) => void>()
  /** Called whenever something ended and nothing may be left to do. */
  onQuiet: () => void = () => {}
  /** Replaces every wait between attempts when set. */
  fixedBackoffMs: number | undefined

  constructor(parts: Parts) {
    this.#clock = parts.clock
    this.#journal = parts.journal
    this.#log = parts.log
    this.#deadLetters = parts.deadLetters
    this.#attempts = parts.attempts
    const next = (pending: Pending): void => this.#passed(pending)
    this.global = new Gate(parts.globalParallelism, next)
    const { queues, flows } = parts.gates(next)
    this.queues = queues
    this.flows = flows
    this.#restore()
  }

  /** Takes over a new message and lets it go as soon as it may. */
  accept(message: Message): void {
    const now = this.#clock.now()
    const pending = newPending(message, 0, message.notBefore)
    this.pending.set(message.id, pending)
    this.stats.published++
    this.#log.add('CREATED', message, now)
    this.#journal.put('message', message.id, {
      message: storeMessage(message),
      retried: 0,
      dueAt: pending.dueAt,
    })
    if (message.queueName !== undefined) this.queues.expect(message.queueName)
    if (message.flow) this.flows.get(message.flow.key).configure(message.flow)
    this.#await(pending, now)
  }

  cancel(messageId: string): boolean {
    const pending = this.pending.get(messageId)
    if (!pending) return false
    const now = this.#clock.now()
    this.#log.add('CANCEL_REQUESTED', pending.message, now)
    this.#log.add('CANCELED', pending.message, now)
    pending.isCancelled = true
    if (pending.isDue && pending.stage !== 'active') {
      this.#gateOf(pending)?.forget()
      if (pending.stage === 'global' && pending.message.flow) this.flows.get(pending.message.flow.key).leave()
    }
    this.stats.cancelled++
    this.#finish(pending, 'CANCELED')
    return true
  }

  /** How many wait for a slot, whatever their time. */
  waitingCount(): number {
    return this.global.waitingCount + this.queues.waitingCount() + this.flows.waitingCount()
  }

  /** How many of those wait for someone to resume their queue or key. */
  pausedCount(): number {
    return this.queues.pausedCount() + this.flows.pausedCount()
  }

  /** Begins no more attempts; resolves when none is in flight. */
  quiesce(): Promise<void> {
    this.global.limit = 0
    return new Promise((done) => {
      this.#onQuiesced = done
      if (this.global.active === 0) done()
    })
  }

  /** What is still in flight is left as it was, to be delivered after the next start. */
  stop(): void {
    this.#isStopped = true
  }

  /** Tells of every message that ends; gives the function that stops it. */
  onFinish(listener: (finish: Finish) => void): () => void {
    this.#onFinish.add(listener)
    return () => {
      this.#onFinish.delete(listener)
    }
  }

  #await(pending: Pending, now: number): void {
    if (pending.dueAt <= now) return this.#advance(pending)
    this.#clock.at(
      pending.dueAt,
      () => {
        if (!pending.isCancelled) this.#advance(pending)
      },
      'delivery',
    )
  }

  /** Takes the slots one after another; where one is not free, the gate calls `#passed` later. */
  #advance(pending: Pending): void {
    pending.isDue = true
    while (pending.stage !== 'active') {
      const gate = this.#gateOf(pending)
      if (gate && !gate.enter(pending)) return
      this.#nextStage(pending)
    }
    void this.#attempt(pending)
  }

  #passed(pending: Pending): void {
    this.#nextStage(pending)
    this.#advance(pending)
  }

  #nextStage(pending: Pending): void {
    if (pending.stage === 'queue') {
      pending.holdsQueue = pending.message.queueName !== undefined
      pending.stage = 'flow'
    } else pending.stage = pending.stage === 'flow' ? 'global' : 'active'
  }

  #gateOf({ stage, message }: Pending): Gate | undefined {
    if (stage === 'queue')
      return message.queueName === undefined ? undefined : this.queues.gate(message.queueName)
    if (stage === 'flow') return message.flow && this.flows.get(message.flow.key)
    return this.global
  }

  async #attempt(pending: Pending): Promise<void> {
    const { message } = pending
    this.stats.attempts++
    this.#log.add('ACTIVE', message, this.#clock.now())
    const { answer, retryAfterMs } = await this.#attempts.run(pending)
    if (this.#isStopped) return
    this.global.leave()
    if (message.flow) this.flows.get(message.flow.key).leave()
    this.#conclude(pending, answer, retryAfterMs)
    this.onQuiet()
    if (this.global.active === 0) this.#onQuiesced()
  }

  #conclude(pending: Pending, answer: Answer, retryAfterMs: number | undefined): void {
    const { message, retried } = pending
    const now = this.#clock.now()
    if (pending.isCancelled) return this.#releaseQueue(pending)
    const isSuccess =
      answer.error === undefined && answer.status !== undefined && answer.status >= 200 && answer.status < 300
    if (message.callback) this.accept(callbackMessage(message.callback, pending, answer, now))
    if (isSuccess) {
      this.#log.add('DELIVERED', message, now, answer)
      this.stats.delivered++
      return this.#finish(pending, 'DELIVERED')
    }
    if (retried >= message.maxRetries || isNonRetryable(answer)) return this.#fail(pending, answer, now)
    const waitMs =
      retryAfterMs ??
      this.fixedBackoffMs ??
      askedToWaitMs(answer.headers, now) ??
      backoffMs(retried, message.retryDelay)
    pending.retried++
    pending.dueAt = now + waitMs
    pending.isDue = false
    pending.stage = pending.holdsQueue || message.queueName === undefined ? 'flow' : 'queue'
    this.stats.retried++
    this.#log.add('ERROR', message, now, answer, pending.dueAt)
    this.#log.add('RETRY', message, now, undefined, pending.dueAt)
    const progress: Progress = { retried: pending.retried, dueAt: pending.dueAt }
    this.#journal.put('progress', message.id, progress)
    this.#await(pending, now)
  }

  #fail(pending: Pending, answer: Answer, now: number): void {
    const { message } = pending
    this.#log.add('ERROR', message, now, answer)
    this.#log.add('FAILED', message, now, answer)
    const dlqId = this.#deadLetters.add(message, answer, now)
    if (message.failureCallback)
      this.accept(callbackMessage(message.failureCallback, pending, answer, now, dlqId))
    this.stats.failed++
    this.#finish(pending, 'FAILED')
  }

  #finish(pending: Pending, state: Finish['state']): void {
    const { id, url } = pending.message
    this.pending.delete(id)
    this.#journal.delete('message', id)
    if (pending.retried > 0) this.#journal.delete('progress', id)
    if (pending.stage !== 'active' || !pending.isCancelled) this.#releaseQueue(pending)
    for (const listener of this.#onFinish) listener({ messageId: id, url, state })
    if (state === 'CANCELED') this.onQuiet()
  }

  #releaseQueue(pending: Pending): void {
    if (pending.message.queueName === undefined) return
    this.queues.leave(pending.message.queueName, pending.holdsQueue)
    pending.holdsQueue = false
  }

  #restore(): void {
    const now = this.#clock.now()
    const progress = new Map(this.#journal.read<Progress>('progress'))
    for (const [id, { message: stored, ...first }] of this.#journal.read<Stored>('message')) {
      const { retried, dueAt } = progress.get(id) ?? first
      const pending = newPending(restoreMessage(stored), retried, dueAt)
      const { message } = pending
      this.pending.set(id, pending)
      if (message.queueName !== undefined) this.queues.expect(message.queueName)
      if (message.flow) this.flows.get(message.flow.key).configure(message.flow)
    }
    this.#journal.keep('message', () => [...this.pending].map(([id, pending]) => [id, store(pending)]))
    this.#journal.keep('progress', () => [])
    const restored = [...this.pending.values()]
    setImmediate(() => {
      for (const pending of restored) if (!pending.isCancelled) this.#await(pending, now)
    })
  }
}

const newPending = (message: Message, retried: number, dueAt: number): Pending => ({
  message,
  retried,
  dueAt,
  isDue: false,
  stage: 'queue',
  holdsQueue: false,
  isCancelled: false,
})

const store = ({ message, retried, dueAt }: Pending): Stored => ({
  message: storeMessage(message),
  retried,
  dueAt,
})

const isNonRetryable = ({ status, headers }: Answer): boolean =>
  status === 489 && headers['upstash-nonretryable-error'] === 'true'
