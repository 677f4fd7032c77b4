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
  /** Schedules of one tenant that fire at the same moment. */
  fire: z.object({
    tenantId: ids.tenant,
    at: z.iso.datetime(),
    fires: z
      .array(
        z.object({
          id: ids.schedule,
          due: z.string().max(40),
          times: z.array(z.iso.datetime()).max(100),
          next: z.iso.datetime().nullable(),
          delayMs: z.number().int(),
        }),
      )
      .min(1)
      .max(100),
  }),
  /** What waits in the outbox is to be handed to QStash, or told to a channel. */
  call: z.object({ tenantId: ids.tenant, outboxId: z.number().int() }),
  notify: z.object({ tenantId: ids.tenant, outboxId: z.number().int() }),
  /** What QStash tells of a request that it made for a step: the token is of the address, the rest of the body. */
  answer: z.object({
    token: z.string(),
    status: z.int(),
    header: z.record(z.string(), z.union([z.string(), z.array(z.string())])).nullish(),
    body: z.string().nullish(),
  }),
  'audit-stream': z.object({ tenantId: ids.tenant, streamId: ids.auditStream }),
  /** Mails wait in a table of their own: they belong to no tenant. */
  mail: z.object({ mailId: ids.mail }),
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
