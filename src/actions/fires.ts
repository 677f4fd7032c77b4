import { dueSchedules, fireSchedules, type DueSchedule } from '#src/db/schedules.ts'
import type { JobPayload, Message } from '#src/domain/job.ts'
import { graceMs, jitterOf, mostAtOnce, nextTime, planFire } from '#src/domain/schedule.ts'
import type { EngineServices } from '#src/engine/services.ts'
import { wakeMessages } from '#src/engine/wake.ts'

/** Further than the next tick, which may be late itself. */
const aheadMs = 90_000
const most = { schedules: 1_000, looks: 5 }

type Fire = JobPayload<'fire'>['fires'][number]
type Group = JobPayload<'fire'> & { runs: number }

/** Has every schedule that is due before the next tick fired at its time, by one message for those of a tenant and a second. */
export async function announceFires(services: EngineServices): Promise<void> {
  for (let look = 0; look < most.looks; look++) {
    const due = await dueSchedules(services.database, aheadMs, most.schedules)
    const messages = grouped(services, due).map(({ tenantId, at, fires }): Message => ({
      job: 'fire',
      payload: { tenantId, at, fires },
      ...(Date.parse(at) > services.now().getTime() ? { notBefore: new Date(at) } : {}),
    }))
    const [first] = due
    if (first) await services.send(first.tenantId, messages)
    if (due.length < most.schedules) return
  }
}

function grouped(services: EngineServices, due: readonly DueSchedule[]): Group[] {
  const now = services.now()
  const open = new Map<string, Group>()
  const groups: Group[] = []
  for (const schedule of due) {
    const at = new Date(Math.max(Math.ceil(schedule.firesAt.getTime() / 1_000) * 1_000, now.getTime()))
    const fire = plannedOrSaid(services, schedule, now)
    if (!fire) continue
    const runs = Math.max(fire.times.length, 1)
    const key = `${schedule.tenantId} ${Math.ceil(at.getTime() / 1_000)}`
    let group = open.get(key)
    if (!group || group.runs + runs > mostAtOnce) {
      group = { tenantId: schedule.tenantId, at: at.toISOString(), fires: [], runs: 0 }
      open.set(key, group)
      groups.push(group)
    }
    group.fires.push(fire)
    group.runs += runs
  }
  return groups
}

/** One schedule that cannot be planned must not keep the others, of every tenant, from their time. */
function plannedOrSaid(services: EngineServices, schedule: DueSchedule, now: Date): Fire | undefined {
  try {
    const { id, due, jitterMs } = schedule
    const { times, next } = planFire(schedule, new Date(due), now)
    return {
      id,
      due,
      times: times.map((time) => time.toISOString()),
      next: next?.toISOString() ?? null,
      delayMs: next ? jitterOf(id, next, jitterMs) : 0,
    }
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error
    services.log({
      event: 'schedule.failed',
      tenantId: schedule.tenantId,
      scheduleId: schedule.id,
      name,
    })
    return undefined
  }
}

/** Fires what the message names where that is still due. One that comes very late is left to the tick, which knows what was missed. */
export async function fire(
  services: EngineServices,
  { tenantId, at, fires }: JobPayload<'fire'>,
): Promise<void> {
  if (services.now().getTime() - Date.parse(at) > graceMs) return
  const db = services.database.tenant(tenantId, 'schedule')
  const { fired, skipped, refused, wakes } = await fireSchedules(db, fires)
  services.log({ event: 'schedules.fired', tenantId, at, due: fires.length, fired, skipped, refused })
  const runId = wakes[0]?.runId
  if (runId) await services.send(tenantId, wakeMessages(tenantId, runId, wakes))
}

/** When a schedule fires for the first time after this moment, and how long after that time. */
export function firstFire(
  id: string,
  schedule: Parameters<typeof nextTime>[0] & { jitterMs: number },
  now: Date,
): { next: Date | null; delayMs: number } {
  const next = nextTime(schedule, now) ?? null
  return { next, delayMs: next ? jitterOf(id, next, schedule.jitterMs) : 0 }
}
