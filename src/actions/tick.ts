import { dropOldVersions } from '#src/db/datasets.ts'
import { sweepOutbox, type OutboxMessage } from '#src/db/outbox.ts'
import { forgetReceipts } from '#src/db/events.ts'
import type { TenantId } from '#src/domain/id.ts'
import { jobs, type Message } from '#src/domain/job.ts'
import { forgetOldRuns, noticeLateness } from './alerts.ts'
import { keepUpAudit } from './audit-upkeep.ts'
import type { Services } from './context.ts'
import { eraseTenants, forgetWhatIsSpent, stopUnwantedRuns } from './erasure.ts'
import { announceFires } from './fires.ts'
import { announceMails } from './mail.ts'
import { addUp } from './metering.ts'
import { lookAfterDomains } from './sso/domain-looks.ts'

/** One tick's share of each; what is left is the next tick's. */
const most = { messages: 1_000, versions: 20 }

/** Once a minute: has fired what is due, sends what is still in the outbox, clears away what nobody can read any more. */
export async function tick(services: Services): Promise<void> {
  await announceFires(services)
  await noticeLateness(services)
  const waiting = await sweepOutbox(services.database, most.messages)
  const byTenant = Map.groupBy(waiting, (message) => message.tenantId)
  for (const [tenantId, messages] of byTenant) await services.send(tenantId, messages.flatMap(jobOf))
  await announceMails(services, most.messages)
  await keepUpAudit(services)
  await addUp(services)
  await dropOldVersions(services.database, most.versions)
  await forgetReceipts(services.database)
  await forgetOldRuns(services)
  await forgetWhatIsSpent(services)
  await lookAfterDomains(services)
  await stopUnwantedRuns(services)
  await eraseTenants(services)
}

/** A message that no job takes any more is left where it is, for somebody to look at. */
function jobOf(message: OutboxMessage): Message[] {
  const fields = { tenantId: message.tenantId satisfies TenantId, outboxId: message.id, ...message.payload }
  const notBefore = message.notBefore ? { notBefore: new Date(message.notBefore) } : {}
  switch (message.kind) {
    case 'run': {
      const payload = jobs.run.safeParse(fields)
      return payload.success ? [{ job: 'run', payload: payload.data, ...notBefore }] : []
    }
    case 'connection.drop_stage': {
      const payload = jobs['drop-stage'].safeParse(fields)
      return payload.success ? [{ job: 'drop-stage', payload: payload.data, ...notBefore }] : []
    }
    case 'call':
    case 'notify':
      return [{ job: message.kind, payload: { tenantId: message.tenantId, outboxId: message.id } }]
  }
}
