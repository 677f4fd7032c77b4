/** As QStash shows headers: Canonical-Case names, a list of values each. */
export type HeaderLists = Record<string, string[]>

export type Callback = {
  url: string
  method: string
  headers: HeaderLists
  retries: number
  retryDelay?: string | undefined
  timeoutMs?: number | undefined
  delayMs: number
}

export type FlowControl = {
  key: string
  parallelism?: number | undefined
  rate?: number | undefined
  periodMs: number
}

export type Redaction = { body: boolean; allHeaders: boolean; headers: string[] }

/** What the `Upstash-*` headers of a publish, an enqueue or a schedule ask for. */
export type Spec = {
  method: string
  headers: HeaderLists
  maxRetries: number
  delayMs?: number | undefined
  notBefore?: number | undefined
  retryDelay?: string | undefined
  timeoutMs?: number | undefined
  callback?: Callback | undefined
  failureCallback?: Callback | undefined
  deduplicationId?: string | undefined
  isContentDeduplicated: boolean
  flow?: FlowControl | undefined
  queueName?: string | undefined
  labels: string[]
  redact?: Redaction | undefined
}

/** One message to one URL; it never changes. What happens to it is in `Pending`. */
export type Message = {
  id: string
  url: string
  method: string
  headers: HeaderLists
  body: Buffer
  createdAt: number
  notBefore: number
  maxRetries: number
  retryDelay?: string | undefined
  timeoutMs?: number | undefined
  callback?: Callback | undefined
  failureCallback?: Callback | undefined
  topicName?: string | undefined
  endpointName?: string | undefined
  scheduleId?: string | undefined
  queueName?: string | undefined
  flow?: FlowControl | undefined
  labels: string[]
  redact?: Redaction | undefined
  callerIp: string
}

/** A message that is not finished. A stage is a slot to be taken: in its queue, then its flow-control key, then overall. */
export type Pending = {
  message: Message
  retried: number
  dueAt: number
  /** Its time has come: it waits for a slot or is in flight. */
  isDue: boolean
  stage: 'queue' | 'flow' | 'global' | 'active'
  holdsQueue: boolean
  isCancelled: boolean
}

export type State =
  | 'CREATED'
  | 'ACTIVE'
  | 'DELIVERED'
  | 'ERROR'
  | 'RETRY'
  | 'FAILED'
  | 'CANCEL_REQUESTED'
  | 'CANCELED'

/** How one attempt ended. */
export type Answer = {
  status: number | undefined
  headers: NodeJS.Dict<string | string[]>
  body: Buffer
  error: string | undefined
}

export function canonicalCase(name: string): string {
  let known = canonicalNames.get(name)
  if (known === undefined) {
    known = name.toLowerCase().replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase())
    if (canonicalNames.size < 10_000) canonicalNames.set(name, known)
  }
  return known
}
const canonicalNames = new Map<string, string>()

/** Node's response headers in QStash's shape. */
export function toHeaderLists(headers: NodeJS.Dict<string | string[]>): HeaderLists {
  const lists: HeaderLists = {}
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) lists[canonicalCase(name)] = Array.isArray(value) ? value : [value]
  return lists
}
