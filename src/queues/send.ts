import type { Client } from '@upstash/qstash'
import { CallRefused, type CallRequest } from '#src/domain/call.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'

export type SendJobs = (tenantId: TenantId, messages: readonly Message[]) => Promise<void>

/** Deliveries of one tenant under way at once; what exceeds it waits in QStash and never in another tenant's way. */
const tenantParallelism = 20
/** QStash's own limit of a call. */
const mostAtOnce = 100

/**
 * Publishes jobs, a hundred a call. Publishing the same message twice is harmless: whatever it asks for is decided by the
 * database when it arrives.
 */
export function jobSender(options: { url: string; token: string; publicUrl: string }): SendJobs {
  let client: Client | undefined
  return async (tenantId, messages) => {
    if (messages.length === 0) return
    // Loaded with the first message: most isolates only answer requests that send none.
    const qstash = await import('@upstash/qstash')
    client ??= new qstash.Client({ baseUrl: options.url, token: options.token })
    const calls: Promise<unknown>[] = []
    for (let i = 0; i < messages.length; i += mostAtOnce) {
      const some = messages.slice(i, i + mostAtOnce)
      calls.push(client.batchJSON(some.map((message) => request(options.publicUrl, tenantId, message))))
    }
    await Promise.all(calls)
  }
}

function request(publicUrl: string, sender: TenantId, { job, payload, notBefore, traceparent }: Message) {
  // A tick sends for many tenants in one call; each message counts for its own.
  const tenantId = 'tenantId' in payload ? payload.tenantId : sender
  return {
    url: `${publicUrl}/jobs/${job}`,
    body: payload,
    retries: 5,
    // A delivery fails when its Worker died or the database was away; both heal in seconds.
    retryDelay: 'min(60000, 1000 * pow(2, retried))',
    // A schedule does not wait for the work of its tenant.
    flowControl: { key: job === 'fire' ? `${tenantId}.fire` : tenantId, parallelism: tenantParallelism },
    ...(notBefore ? { notBefore: Math.ceil(notBefore.getTime() / 1000) } : {}),
    ...(traceparent ? { headers: { traceparent } } : {}),
  }
}

/** Calls of one tenant under way at once. They may take hours, and must not keep its jobs from their places. */
const callParallelism = 100
/** How long QStash's plans let an answer take, the larger ones. */
const longestAnswerS = 12 * 3_600

/**
 * Publishes requests to others. They are made once: whether to try again is for the step's retry policy to say. The
 * answer is brought until it is taken.
 */
export function requestSender(options: { url: string; token: string; publicUrl: string }) {
  let client: Client | undefined
  return async (tenantId: TenantId, request: CallRequest): Promise<void> => {
    const qstash = await import('@upstash/qstash')
    client ??= new qstash.Client({ baseUrl: options.url, token: options.token })
    const answer = `${options.publicUrl}/jobs/answer?token=${request.token}`
    try {
      await client.batch([
        {
          url: request.url,
          method: request.method as 'POST',
          ...(request.body === undefined ? {} : { body: request.body }),
          headers: { ...request.headers, ...answerHeaders },
          retries: 0,
          timeout: Math.min(Math.max(Math.ceil(request.timeoutMs / 1_000), 1), longestAnswerS),
          deduplicationId: request.id,
          flowControl: { key: `${tenantId}.calls`, parallelism: callParallelism },
          ...(request.tells === 'all' ? { callback: answer } : {}),
          failureCallback: answer,
        },
      ])
    } catch (error) {
      if (error instanceof qstash.QstashError && [400, 412, 413].includes(error.status ?? 0))
        throw new CallRefused('QStash refuses the request', { cause: error })
      throw error
    }
  }
}

const answerHeaders = Object.fromEntries(
  ['Upstash-Callback', 'Upstash-Failure-Callback'].flatMap((name) => [
    [`${name}-Retries`, '5'],
    [`${name}-Retry-Delay`, 'min(60000, 1000 * pow(2, retried))'],
  ]),
)
