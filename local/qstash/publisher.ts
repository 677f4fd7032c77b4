import type { Broker } from './broker.ts'
import type { Clock } from './clock.ts'
import { deduplicationKey, type Deduplication } from './deduplication.ts'
import { notFound } from './failure.ts'
import type { Faults } from './faults.ts'
import type { Message, Spec } from './message.ts'
import { checkUrl } from './publish-headers.ts'
import { newToken } from './signature.ts'
import type { Endpoint, UrlGroups } from './url-groups.ts'

export type Publish = {
  destination: string
  spec: Spec
  body: Buffer
  callerIp: string
  scheduleId?: string | undefined
}
export type Published = { messageId: string; url: string; deduplicated?: true; losesReply?: true }
/** Where a publish goes: one URL, or a group's endpoints. */
export type Target = { topicName: string | undefined; endpoints: readonly Endpoint[] }

type Parts = {
  clock: Clock
  broker: Broker
  groups: UrlGroups
  deduplication: Deduplication
  faults: Faults
}

export class Publisher {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Refuses a destination that is neither a URL nor a known group. */
  resolve(destination: string): Target {
    if (/^[A-Za-z0-9._-]+$/.test(destination)) {
      const endpoints = this.#parts.groups.find(destination)
      if (!endpoints) throw notFound(`topic ${destination} not found`)
      return { topicName: destination, endpoints }
    }
    return { topicName: undefined, endpoints: [{ url: checkUrl(destination) }] }
  }

  publish(publish: Publish, target = this.resolve(publish.destination)): Published[] {
    return target.endpoints.map((endpoint) => this.#publishTo(publish, endpoint, target.topicName))
  }

  #publishTo(publish: Publish, endpoint: Endpoint, topicName: string | undefined): Published {
    const { deduplication } = this.#parts
    const { url } = endpoint
    const key = deduplicationKey(publish.spec, url, publish.body)
    const known = key === undefined ? undefined : deduplication.find(key)
    if (known !== undefined) return { messageId: known, url, deduplicated: true }
    const message = this.#compose(publish, endpoint, topicName)
    if (key !== undefined) deduplication.add(key, message.id)
    const published: Published = { messageId: message.id, url }
    let isLost = false
    for (const fault of this.#parts.faults.strike('publish', url)) {
      if (fault.kind === 'losePublish') isLost = true
      else if (fault.kind === 'loseReply') published.losesReply = true
      else if (fault.kind === 'delay') message.notBefore += fault.ms
      else if (fault.kind === 'reorder') message.notBefore += this.#parts.faults.random() * fault.ms
    }
    if (!isLost) this.#parts.broker.accept(message)
    return published
  }

  #compose({ spec, body, callerIp, scheduleId }: Publish, endpoint: Endpoint, topicName?: string): Message {
    const now = this.#parts.clock.now()
    return {
      id: `msg_${newToken()}`,
      url: endpoint.url,
      method: spec.method,
      headers: spec.headers,
      body,
      createdAt: now,
      notBefore: spec.notBefore ?? now + (spec.delayMs ?? 0),
      maxRetries: spec.maxRetries,
      retryDelay: spec.retryDelay,
      timeoutMs: spec.timeoutMs,
      callback: spec.callback,
      failureCallback: spec.failureCallback,
      topicName,
      endpointName: endpoint.name,
      scheduleId,
      queueName: spec.queueName,
      flow: spec.flow,
      labels: spec.labels,
      redact: spec.redact,
      callerIp,
    }
  }
}
