import {
  changeCalendar,
  deleteCalendar as deleteCalendarRow,
  getCalendar,
  insertCalendar,
  listCalendars,
  schedulesOfCalendar,
  type Calendar,
} from '#src/db/calendars.ts'
import type { CalendarDays } from '#src/domain/calendar.ts'
import { newId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { allow, allowEverywhere, type Context } from './context.ts'
import { firstFire } from './fires.ts'

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

export async function createCalendar(
  ctx: Context,
  { name, days }: { name: string; days: CalendarDays },
): Promise<Calendar> {
  allow(ctx, 'pipelines:write')
  return insertCalendar(ctx.tenantDb, { id: newId('calendar', ctx.now()), name, days })
}

export async function readCalendars(ctx: Context, page: PageRequest): Promise<Page<Calendar>> {
  allowEverywhere(ctx, 'pipelines:read')
  const after = page.after?.[0] as Calendar['id'] | undefined
  return toPage(await listCalendars(ctx.tenantDb, after, page.limit), page.limit, ({ id }) => [id])
}

export async function readCalendar(ctx: Context, id: Calendar['id']): Promise<Calendar> {
  allowEverywhere(ctx, 'pipelines:read')
  return getCalendar(ctx.tenantDb, id)
}

/** Changes the days. Schedules that go by them get their next time anew; what is due already stays due. */
export async function updateCalendar(
  ctx: Context,
  id: Calendar['id'],
  expected: readonly number[] | 'any',
  change: { [K in keyof CalendarDays]?: CalendarDays[K] | undefined },
): Promise<Calendar> {
  allow(ctx, 'pipelines:write')
  const calendar = await getCalendar(ctx.tenantDb, id)
  if (expected !== 'any' && !expected.includes(calendar.version)) throw stale()
  const { weekdays, include, exclude } = calendar.days
  const days = {
    weekdays: change.weekdays ?? weekdays,
    include: change.include ?? include,
    exclude: change.exclude ?? exclude,
  }
  const found = await schedulesOfCalendar(ctx.tenantDb, calendar.name)
  const schedules = found.map(({ next: was, ...schedule }) => ({
    id: schedule.id,
    was,
    ...firstFire(schedule.id, { ...schedule, days }, ctx.now()),
  }))
  const changed = await changeCalendar(ctx.tenantDb, id, calendar.version, days, schedules)
  if (!changed) throw stale()
  return changed
}

export async function deleteCalendar(
  ctx: Context,
  id: Calendar['id'],
  expected: readonly number[] | 'any',
): Promise<void> {
  allow(ctx, 'pipelines:write')
  if ((await deleteCalendarRow(ctx.tenantDb, id, expected)) === 'changed') throw stale()
}
