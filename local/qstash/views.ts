import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'

import type { DeadLetter } from './dead-letters.ts'
import type { LogEntry } from './log.ts'
import { toHeaderLists, type HeaderLists, type Message, type Redaction, type Spec } from './message.ts'
import type { Schedules } from './schedules.ts'

type View = Record<string, unknown>

export function messageView(message: Message): View {
  const { redact } = message
  return {
    messageId: message.id,
    url: message.url,
    topicName: message.topicName,
    endpointName: message.endpointName,
    method: message.method,
    header: redactedHeaders(message.headers, redact),
    ...(redact?.body ? { body: redacted(message.body) } : text('body', message.body)),
    maxRetries: message.maxRetries,
    notBefore: Math.floor(message.notBefore),
    createdAt: Math.floor(message.createdAt),
    callback: message.callback?.url,
    failureCallback: message.failureCallback?.url,
    queueName: message.queueName,
    scheduleId: message.scheduleId,
    callerIP: message.callerIp,
    callerIp: message.callerIp,
    retryDelayExpression: message.retryDelay,
    ...labelView(message.labels),
    ...flowView(message.flow),
  }
}

export function deadLetterView({ dlqId, message, ...row }: DeadLetter): View {
  return {
    dlqId,
    ...messageView(message),
    responseStatus: row.responseStatus,
    responseHeader: row.responseHeader,
    ...(row.responseBody === undefined ? {} : text('responseBody', row.responseBody)),
  }
}

export function logView({ time, state, message, answer, nextDeliveryTime }: LogEntry): View {
  const { redact } = message
  return {
    time: Math.floor(time),
    messageId: message.id,
    state,
    header: redactedHeaders(message.headers, redact),
    body: redact?.body ? redacted(message.body) : message.body.toString('base64'),
    error: answer && (answer.error ?? (isSuccess(answer.status) ? undefined : answer.body.toString('utf8'))),
    nextDeliveryTime: nextDeliveryTime === undefined ? undefined : Math.floor(nextDeliveryTime),
    url: message.url,
    topicName: message.topicName,
    endpointName: message.endpointName,
    scheduleId: message.scheduleId,
    queueName: message.queueName,
    responseStatus: answer?.status,
    responseBody: answer?.body.toString('base64'),
    responseHeaders: answer && toHeaderLists(answer.headers),
    timeout: message.timeoutMs,
    method: message.method,
    callback: message.callback?.url,
    callbackHeaders: message.callback?.headers,
    failureCallback: message.failureCallback?.url,
    failureCallbackHeaders: message.failureCallback?.headers,
    maxRetries: message.maxRetries,
    retryDelayExpression: message.retryDelay,
    ...labelView(message.labels),
    flowControlKey: message.flow?.key,
  }
}

export function scheduleView({ schedule, nextScheduleTime, lastStates }: ReturnType<Schedules['get']>): View {
  const { spec } = schedule
  return {
    scheduleId: schedule.scheduleId,
    cron: schedule.cron,
    destination: schedule.destination,
    createdAt: Math.floor(schedule.createdAt),
    method: spec.method,
    header: redactedHeaders(spec.headers, spec.redact),
    ...(spec.redact?.body ? { body: redacted(schedule.body) } : text('body', schedule.body)),
    retries: spec.maxRetries,
    delay: spec.delayMs === undefined ? undefined : spec.delayMs / 1_000,
    callback: spec.callback?.url,
    failureCallback: spec.failureCallback?.url,
    callerIP: schedule.callerIp,
    callerIp: schedule.callerIp,
    isPaused: schedule.isPaused,
    queueName: spec.queueName,
    retryDelayExpression: spec.retryDelay,
    ...labelView(spec.labels),
    ...flowView(spec.flow),
    lastScheduleTime: schedule.lastScheduleTime,
    nextScheduleTime,
    lastScheduleStates: lastStates.size > 0 ? Object.fromEntries(lastStates) : undefined,
  }
}

const isSuccess = (status: number | undefined): boolean =>
  status !== undefined && status >= 200 && status < 300

const text = (name: string, body: Buffer): View =>
  isUtf8(body) ? { [name]: body.toString('utf8') } : { [`${name}Base64`]: body.toString('base64') }

const redacted = (value: string | Buffer): string => `REDACTED:${hash('sha256', value)}`

function redactedHeaders(headers: HeaderLists, redact: Redaction | undefined): HeaderLists {
  if (!redact?.allHeaders && !redact?.headers.length) return headers
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) =>
      redact.allHeaders || redact.headers.includes(name) ? [name, values.map(redacted)] : [name, values],
    ),
  )
}

const labelView = (labels: readonly string[]): View =>
  labels.length > 0 ? { label: labels[0], labels: [...labels] } : {}

const flowView = (flow: Spec['flow']): View =>
  flow
    ? {
        flowControlKey: flow.key,
        parallelism: flow.parallelism,
        rate: flow.rate,
        period: flow.rate === undefined ? undefined : flow.periodMs / 1_000,
      }
    : {}
