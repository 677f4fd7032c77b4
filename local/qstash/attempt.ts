import type { Clock } from './clock.ts'
import type { Deliveries } from './deliveries.ts'
import type { Fault, Faults } from './faults.ts'
import type { Answer, Message, Pending } from './message.ts'
import { failed, type Sender } from './sender.ts'
import { signDelivery, tamper } from './signature.ts'
import type { SigningKeys } from './signing-keys.ts'

export type Attempted = { answer: Answer; retryAfterMs: number | undefined }

type Parts = {
  clock: Clock
  sender: Sender
  keys: SigningKeys
  faults: Faults
  deliveries: Deliveries
  timeoutMs: number
}
type Strike = Extract<
  Fault,
  { kind: 'dropAttempt' | 'duplicate' | 'dropAck' | 'tamper' | 'rotateKeys' | 'answer' }
>

/** Carries out single attempts: signs, sends, and lets happen what goes wrong on command. */
export class Attempts {
  readonly #parts: Parts
  /** Duplicates in flight; they belong to no message and take no slot. */
  duplicates = 0
  onDuplicateEnd: () => void = () => {}

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async run({ message, retried }: Pending): Promise<Attempted> {
    const struck = this.#parts.faults.strike('attempt', message.url)
    const { answer, fault } = await this.#first(message, retried, struck)
    const retryAfterMs = fault && 'retryAfterMs' in fault ? fault.retryAfterMs : undefined
    return { answer, retryAfterMs }
  }

  async #first(
    message: Message,
    retried: number,
    struck: Strike[],
  ): Promise<{ answer: Answer; fault?: Strike }> {
    for (const fault of struck) {
      if (fault.kind === 'duplicate') this.#duplicate(message, retried, fault, struck)
      else if (fault.kind === 'dropAttempt' || fault.kind === 'answer') {
        const answer = injected(fault)
        this.#parts.deliveries.begin(message, retried, fault.kind)(answer)
        return { answer, fault }
      }
    }
    const answer = await this.#send(message, retried, struck)
    const dropped = struck.find((fault) => fault.kind === 'dropAck')
    if (dropped && answer.error === undefined)
      return { answer: failed('the acknowledgement was lost'), fault: dropped }
    return { answer }
  }

  #duplicate(
    message: Message,
    retried: number,
    fault: Strike & { kind: 'duplicate' },
    struck: Strike[],
  ): void {
    for (let copy = 0; copy < (fault.copies ?? 1); copy++) {
      this.duplicates++
      const send = async (): Promise<void> => {
        await this.#send(message, retried, struck, true)
        this.duplicates--
        this.onDuplicateEnd()
      }
      if (fault.afterMs) setTimeout(() => void send(), fault.afterMs)
      else void send()
    }
  }

  async #send(message: Message, retried: number, struck: Strike[], isDuplicate = false): Promise<Answer> {
    const { sender, keys, deliveries, timeoutMs } = this.#parts
    const outgoing = {
      url: message.url,
      method: message.method,
      headers: deliveryHeaders(message, retried, keys.pair.current),
      body: message.body,
      timeoutMs: message.timeoutMs ?? timeoutMs,
    }
    for (const fault of struck) {
      if (fault.kind === 'rotateKeys') keys.rotate()
      else if (fault.kind === 'tamper') {
        const signature = outgoing.headers['Upstash-Signature']
        if (fault.part === 'body') outgoing.body = Buffer.concat([outgoing.body, Buffer.from(' ')])
        else if (typeof signature === 'string') outgoing.headers['Upstash-Signature'] = tamper(signature)
      }
    }
    if (outgoing.body.length > 0) outgoing.headers['Content-Length'] = String(outgoing.body.length)
    const end = deliveries.begin(message, retried, isDuplicate ? 'duplicate' : struck[0]?.kind)
    const answer = await sender.send(outgoing)
    end(answer)
    return answer
  }
}

function deliveryHeaders(message: Message, retried: number, key: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, values] of Object.entries(message.headers))
    headers[name] = values.length === 1 ? (values[0] ?? '') : values
  headers['User-Agent'] ??= 'Upstash-QStash'
  headers['Upstash-Message-Id'] = message.id
  headers['Upstash-Retried'] = String(retried)
  headers['Upstash-Signature'] = signDelivery(message.url, message.body, key)
  headers['Upstash-Caller-Ip'] = message.callerIp
  if (message.scheduleId !== undefined) headers['Upstash-Schedule-Id'] = message.scheduleId
  if (message.topicName !== undefined) headers['Upstash-Topic-Name'] = message.topicName
  if (message.endpointName !== undefined) headers['Upstash-Endpoint-Name'] = message.endpointName
  if (message.queueName !== undefined) headers['Upstash-Queue-Name'] = message.queueName
  if (message.flow !== undefined) headers['Upstash-Flow-Control-Key'] = message.flow.key
  return headers
}

function injected(fault: Strike & { kind: 'dropAttempt' | 'answer' }): Answer {
  if (fault.kind === 'dropAttempt') return failed('the attempt was lost')
  const headers = Object.fromEntries(
    Object.entries(fault.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return { status: fault.status, headers, body: Buffer.alloc(0), error: undefined }
}
