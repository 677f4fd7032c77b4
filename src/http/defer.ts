import type { Context } from 'hono'
import type { ApiEnv } from './api.ts'
import { describeError } from './request-log.ts'

/** Work that outlives the answer: the platform keeps the isolate for it, and its failure is a line in the log. */
export function defer(c: Context<ApiEnv>, promise: Promise<unknown>): void {
  const requestId = c.get('requestId')
  const { services } = c.get('gate')
  const watched = promise.catch((error: unknown) =>
    services.log({ event: 'deferred_failure', requestId, ...describeError(error) }),
  )
  c.env?.waitUntil?.(watched)
}
