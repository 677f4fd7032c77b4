import { dropOldVersions } from '#src/db/datasets.ts'
import { sweepOutbox, type OutboxMessage } from '#src/db/outbox.ts'
import { dueSchedules, fireSchedule, type DueSchedule } from '#src/db/schedules.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { jobs, type Message } from '#src/domain/job.ts'
import { nextFire } from '#src/domain/schedule.ts'
import type { EngineServices } from '#src/engine/services.ts'
import { wakeMessages } from '#src/engine/wake.ts'

/** One tick's share of each; what is left is the next tick's. */
const most = { schedules: 200, messages: 1_000, versions: 20 }

/** Once a minute: fires what is due, sends what is still in the outbox, clears away what nobody can read any more. */
export async function tick(services: EngineServices): Promise<void> {
  const due = await dueSchedules(services.database, most.schedules)
  for (const schedule of due) await fireOrSay(services, schedule)
  const waiting = await sweepOutbox(services.database, most.messages)
  const byTenant = Map.groupBy(waiting, (message) => message.tenantId)
  for (const [tenantId, messages] of byTenant) await services.send(tenantId, messages.flatMap(jobOf))
  await dropOldVersions(services.database, most.versions)
}

/** One schedule that cannot be fired must not keep the others, of every tenant, from their time. */
async function fireOrSay(services: EngineServices, schedule: DueSchedule): Promise<void> {
  try {
    await fire(services, schedule)
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error
    services.log({ event: 'schedule.failed', tenantId: schedule.tenantId, scheduleId: schedule.id, name })
  }
}

async function fire(services: EngineServices, schedule: DueSchedule): Promise<void> {
  const db = services.database.tenant(schedule.tenantId, 'schedule')
  const now = services.now()
  const runId = newId('run', now)
  const wake = await fireSchedule(db, schedule, nextFire(schedule.cron, schedule.timezone, now), runId)
  if (wake) await services.send(schedule.tenantId, wakeMessages(schedule.tenantId, runId, [wake]))
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
  }
}
