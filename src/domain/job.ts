import * as z from 'zod'
import { ids } from './id.ts'

/** Every job that QStash delivers: its name is its path under /jobs, its schema what arrives there. */
export const jobs = {
  run: z.object({ tenantId: ids.tenant, runId: ids.run, outboxId: z.number().int().optional() }),
  'drop-stage': z.object({
    tenantId: ids.tenant,
    outboxId: z.number().int(),
    connectionId: ids.connection,
    loadId: z.string().regex(/^[0-9a-z]{1,40}$/),
    table: z.string().min(1).max(200),
  }),
  tick: z.object({}),
} as const
export type JobName = keyof typeof jobs
export type JobPayload<N extends JobName> = z.output<(typeof jobs)[N]>

/** One job to be delivered; `notBefore` where it has to wait. */
export type Message = {
  [N in JobName]: {
    job: N
    payload: JobPayload<N>
    notBefore?: Date | undefined
    traceparent?: string | undefined
  }
}[JobName]
