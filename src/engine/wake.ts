import type { Wake } from '#src/db/run-moves.ts'
import type { RunId, TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'

/** The messages that the outbox holds; wake-ups without a run of their own are for `runId`. */
export const wakeMessages = (tenantId: TenantId, runId: RunId, wakes: readonly Wake[]): Message[] =>
  wakes.map((wake): Message =>
    wake.job === 'notify'
      ? { job: 'notify', payload: { tenantId, outboxId: wake.id } }
      : {
          job: 'run',
          payload: { tenantId, runId: wake.runId ?? runId, outboxId: wake.id },
          ...(wake.notBefore ? { notBefore: new Date(wake.notBefore) } : {}),
        },
  )
