import type { Journal } from './journal.ts'
import { toHeaderLists, type Answer, type HeaderLists, type Message } from './message.ts'
import { restoreMessage, storeMessage, type StoredMessage } from './stored-message.ts'

export type DeadLetter = {
  dlqId: string
  order: number
  message: Message
  failedAt: number
  responseStatus?: number | undefined
  responseHeader?: HeaderLists | undefined
  responseBody?: Buffer | undefined
}
type Stored = Omit<DeadLetter, 'message' | 'responseBody'> & { message: StoredMessage; responseBody?: string }

const table = 'dlq'

/** Messages that used up their retries. */
export class DeadLetters {
  readonly #rows = new Map<string, DeadLetter>()
  readonly #journal: Journal
  #order = 0

  constructor(journal: Journal) {
    this.#journal = journal
    for (const [id, stored] of journal.read<Stored>(table)) {
      this.#rows.set(id, {
        ...stored,
        message: restoreMessage(stored.message),
        responseBody:
          stored.responseBody === undefined ? undefined : Buffer.from(stored.responseBody, 'base64'),
      })
      this.#order = Math.max(this.#order, stored.order)
    }
    journal.keep(table, () => [...this.#rows].map(([id, row]) => [id, store(row)]))
  }

  get size(): number {
    return this.#rows.size
  }

  add(message: Message, answer: Answer, failedAt: number): string {
    const order = ++this.#order
    const row: DeadLetter = { dlqId: `${Math.floor(failedAt)}-${order}`, order, message, failedAt }
    if (answer.status === undefined) row.responseBody = Buffer.from(answer.error ?? '')
    else {
      row.responseStatus = answer.status
      row.responseHeader = toHeaderLists(answer.headers)
      row.responseBody = answer.body
    }
    this.#rows.set(row.dlqId, row)
    this.#journal.put(table, row.dlqId, store(row))
    return row.dlqId
  }

  get(dlqId: string): DeadLetter | undefined {
    return this.#rows.get(dlqId)
  }

  /** Oldest first. */
  list(): DeadLetter[] {
    return [...this.#rows.values()]
  }

  remove(dlqId: string): boolean {
    if (!this.#rows.delete(dlqId)) return false
    this.#journal.delete(table, dlqId)
    return true
  }
}

const store = (row: DeadLetter) => ({
  ...row,
  message: storeMessage(row.message),
  responseBody: row.responseBody?.toString('base64'),
})
