import { toHeaderLists, type Answer, type Callback, type Message, type Pending } from './message.ts'
import { newToken } from './signature.ts'

/** The message that tells a callback URL how an attempt ended; `dlqId` when it was the last one and failed. */
export function callbackMessage(
  callback: Callback,
  pending: Pending,
  answer: Answer,
  now: number,
  dlqId?: string,
): Message {
  const { message, retried } = pending
  const body = {
    status: answer.status ?? 0,
    header: toHeaderLists(answer.headers),
    body: (answer.error === undefined ? answer.body : Buffer.from(answer.error)).toString('base64'),
    retried,
    maxRetries: message.maxRetries,
    sourceMessageId: message.id,
    topicName: message.topicName,
    endpointName: message.endpointName,
    url: message.url,
    method: message.method,
    sourceHeader: message.headers,
    sourceBody: message.body.toString('base64'),
    notBefore: message.notBefore,
    createdAt: message.createdAt,
    scheduleId: message.scheduleId,
    callerIP: message.callerIp,
    dlqId,
  }
  return {
    id: `msg_${newToken()}`,
    url: callback.url,
    method: callback.method,
    headers: callback.headers,
    body: Buffer.from(JSON.stringify(body)),
    createdAt: now,
    notBefore: now + callback.delayMs,
    maxRetries: callback.retries,
    retryDelay: callback.retryDelay,
    timeoutMs: callback.timeoutMs,
    labels: message.labels,
    callerIp: message.callerIp,
  }
}
