import type { Client } from '@upstash/qstash'
import type { TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'

export type SendJobs = (tenantId: TenantId, messages: readonly Message[]) => Promise<void>

/** Deliveries of one tenant under way at once; what exceeds it waits in QStash and never in another tenant's way. */
const tenantParallelism = 20

/**
 * Publishes jobs in one call. Publishing the same message twice is harmless: whatever it asks for is decided by the
 * database when it arrives.
 */
export function jobSender(options: { url: string; token: string; publicUrl: string }): SendJobs {
  let client: Client | undefined
  return async (tenantId, messages) => {
    if (messages.length === 0) return
    // Loaded with the first message: most isolates only answer requests that send none.
    const qstash = await import('@upstash/qstash')
    client ??= new qstash.Client({ baseUrl: options.url, token: options.token })
    await client.batchJSON(
      messages.map(({ job, payload, notBefore, traceparent }) => ({
        url: `${options.publicUrl}/jobs/${job}`,
        body: payload,
        retries: 5,
        // A delivery fails when its Worker died or the database was away; both heal in seconds.
        retryDelay: 'min(60000, 1000 * pow(2, retried))',
        flowControl: { key: tenantId, parallelism: tenantParallelism },
        ...(notBefore ? { notBefore: Math.ceil(notBefore.getTime() / 1000) } : {}),
        ...(traceparent ? { headers: { traceparent } } : {}),
      })),
    )
  }
}
