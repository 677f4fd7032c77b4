import { badRequest } from './failure.ts'
import type { Message, State } from './message.ts'

/** What a filter looks at: a message, and what is known of it where it is listed. */
export type Subject = { message: Message; time: number; state?: State; responseStatus?: number | undefined }
export type Query = Map<string, string[]>

type Match = (subject: Subject, values: ReadonlySet<string>) => boolean

const matches: Record<string, Match> = {
  messageId: ({ message }, values) => values.has(message.id),
  url: ({ message }, values) => values.has(message.url),
  host: ({ message }, values) => values.has(new URL(message.url).host),
  path: ({ message }, values) => values.has(new URL(message.url).pathname),
  topicName: ({ message }, values) => values.has(message.topicName ?? ''),
  queueName: ({ message }, values) => values.has(message.queueName ?? ''),
  scheduleId: ({ message }, values) => values.has(message.scheduleId ?? ''),
  state: ({ state }, values) => values.has(state ?? ''),
  label: ({ message }, values) => message.labels.some((label) => values.has(label)),
  flowControlKey: ({ message }, values) => values.has(message.flow?.key ?? ''),
  callerIp: ({ message }, values) => values.has(message.callerIp),
  callerIP: ({ message }, values) => values.has(message.callerIp),
  responseStatus: ({ responseStatus }, values) => values.has(String(responseStatus)),
  fromDate: ({ time }, values) => time >= Number([...values][0]),
  toDate: ({ time }, values) => time <= Number([...values][0]),
}
const paging = new Set(['count', 'cursor', 'order', 'trimBody'])
const whole = new Set(['count', 'cursor', 'fromDate', 'toDate'])

/** Reads a query string: repeated names and comma lists are the same. */
export function readQuery(search: string): Query {
  const query: Query = new Map()
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === 'qstash_token') continue
    const values = name === 'url' ? [value] : value.split(',')
    query.set(name, [...(query.get(name) ?? []), ...values])
  }
  return query
}

/** Different names must all match, values of one name are alternatives; a name that is not known is refused. */
export function readFilter(query: Query, idsName: 'messageIds' | 'dlqIds'): (subject: Subject) => boolean {
  const wanted: [Match, ReadonlySet<string>][] = []
  for (const [name, values] of query) {
    if (whole.has(name) && !values.every((value) => /^\d+$/.test(value)))
      throw badRequest(`invalid ${name}: "${values[0]}" is not a whole number`)
    if (name === idsName || paging.has(name)) continue
    const match = Object.hasOwn(matches, name) ? matches[name] : undefined
    if (!match) throw badRequest(`unknown filter "${name}"`)
    wanted.push([match, new Set(values)])
  }
  return (subject) => wanted.every(([match, values]) => match(subject, values))
}

export type Page<T> = { items: T[]; cursor?: string }

/** Cuts a page out of rows that are ordered oldest first; the newest come first unless asked otherwise. */
export function page<T extends { order: number }>(
  rows: readonly T[],
  query: Query,
  largest: number,
): Page<T> {
  const count = Math.min(largest, Number(query.get('count')?.[0] ?? largest))
  const cursor = query.get('cursor')?.[0]
  const isEarliestFirst = query.get('order')?.[0] === 'earliestFirst'
  const items: T[] = []
  for (let step = 0; step < rows.length; step++) {
    const row = isEarliestFirst ? rows[step] : rows[rows.length - 1 - step]
    if (!row) break
    if (cursor !== undefined && (isEarliestFirst ? row.order <= Number(cursor) : row.order >= Number(cursor)))
      continue
    const last = items.at(-1)
    if (items.length === count && last) return { items, cursor: String(last.order) }
    items.push(row)
  }
  return { items }
}
