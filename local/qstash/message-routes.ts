import { done, ok, type Call, type Reply } from './api.ts'
import type { Broker } from './broker.ts'
import type { Clock } from './clock.ts'
import type { DeadLetter, DeadLetters } from './dead-letters.ts'
import { notFound } from './failure.ts'
import { page, readFilter, readQuery, type Query } from './filters.ts'
import type { Log } from './log.ts'
import type { Message } from './message.ts'
import { newToken } from './signature.ts'
import { deadLetterView, logView, messageView } from './views.ts'

type Parts = { broker: Broker; clock: Clock; deadLetters: DeadLetters; log: Log }

/** `/v2/messages[/{id}]` */
export function messages({ broker }: Parts, call: Call, id: string | undefined): Reply | undefined {
  if (id !== undefined) {
    const pending = broker.pending.get(id)
    if (!pending) throw notFound(`message ${id} not found`)
    if (call.method === 'GET') return ok(messageView(pending.message))
    if (call.method !== 'DELETE') return undefined
    broker.cancel(id)
    return ok({ cancelled: 1 })
  }
  if (call.method !== 'DELETE') return undefined
  const query = readQuery(call.search)
  const filter = readFilter(query, 'messageIds')
  const ids = query.get('messageIds')
  const chosen =
    ids ??
    [...broker.pending.values()]
      .filter(({ message }) => filter({ message, time: message.createdAt }))
      .map(({ message }) => message.id)
  return ok({ cancelled: chosen.filter((each) => broker.cancel(each)).length })
}

/** `/v2/dlq[/{id}]` and `/v2/dlq/retry[/{id}]` */
export function deadLetters(parts: Parts, call: Call, path: readonly string[]): Reply | undefined {
  const [first, second] = path
  const query = readQuery(call.search)
  if (first === 'retry' && call.method === 'POST') {
    if (second !== undefined) query.set('dlqIds', [second])
    return retry(parts, query)
  }
  if (second !== undefined) return undefined
  if (first === undefined) {
    if (call.method === 'DELETE') return remove(parts, query)
    if (call.method !== 'GET') return undefined
    const { items, cursor } = choose(parts.deadLetters, query)
    return ok({ messages: items.map(deadLetterView), ...(cursor === undefined ? {} : { cursor }) })
  }
  const row = parts.deadLetters.get(first)
  if (!row) throw notFound(`dlq message ${first} not found`)
  if (call.method === 'GET') return ok(deadLetterView(row))
  if (call.method !== 'DELETE') return undefined
  parts.deadLetters.remove(first)
  return done
}

/** `/v2/logs` and `/v2/events`: the same rows under two names. */
export function logs({ log }: Parts, call: Call, name: 'logs' | 'events'): Reply | undefined {
  if (call.method !== 'GET') return undefined
  const query = readQuery(call.search)
  const filter = readFilter(query, 'messageIds')
  const ids = query.get('messageIds')
  const rows = log.entries().filter((entry) => {
    const { message, time, state, answer } = entry
    return ids ? ids.includes(message.id) : filter({ message, time, state, responseStatus: answer?.status })
  })
  const { items, cursor } = page(rows, query, 1_000)
  return ok({ [name]: items.map(logView), ...(cursor === undefined ? {} : { cursor }) })
}

function choose(letters: DeadLetters, query: Query): { items: DeadLetter[]; cursor?: string } {
  const filter = readFilter(query, 'dlqIds')
  const ids = query.get('dlqIds')
  if (ids) return { items: ids.map((id) => letters.get(id)).filter((row) => row !== undefined) }
  const rows = letters
    .list()
    .filter(({ message, failedAt, responseStatus }) => filter({ message, time: failedAt, responseStatus }))
  return page(rows, query, 100)
}

function remove({ deadLetters: letters }: Parts, query: Query): Reply {
  const { items, cursor } = choose(letters, query)
  for (const { dlqId } of items) letters.remove(dlqId)
  return ok({ deleted: items.length, ...(cursor === undefined ? {} : { cursor }) })
}

/** Each becomes a new message with a new id, and its row goes. */
function retry({ broker, clock, deadLetters: letters }: Parts, query: Query): Reply {
  const { items, cursor = '' } = choose(letters, query)
  const missing = query.get('dlqIds')?.find((id) => !letters.get(id))
  if (missing !== undefined) throw notFound(`dlq message ${missing} not found`)
  const responses = items.map(({ dlqId, message }) => {
    const now = clock.now()
    const again: Message = { ...message, id: `msg_${newToken()}`, createdAt: now, notBefore: now }
    letters.remove(dlqId)
    broker.accept(again)
    return { messageId: again.id }
  })
  return { status: 201, body: { cursor, responses } }
}
