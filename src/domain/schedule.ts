import { Cron } from 'croner'
import { isCalendarDay, type CalendarDays } from './calendar.ts'
import { dateIn, instantOf, offsetMs, wallOf } from './wall-clock.ts'

export const catchUps = ['all', 'last', 'none'] as const
export type CatchUp = (typeof catchUps)[number]
export const overlaps = ['skip', 'queue', 'cancel', 'allow'] as const
export type Overlap = (typeof overlaps)[number]

/** When: a cron expression in a zone, on the days of a calendar where there is one. */
export type Times = { cron: string; timezone: string; days?: CalendarDays | undefined }

/** A calendar that leaves none of so many days in a row leaves none at all. */
const mostDaysOff = 1_500
/** Starts of one message; the rest of a long catch-up follows with the next ticks. */
export const mostAtOnce = 100
/** What was missed longer ago than the last so many times is not caught up on. */
export const mostMissed = 1_000
/** A time is not missed before a tick could have fired it again. */
export const graceMs = 120_000

const minuteMs = 60_000

const dayMs = 86_400_000

const kept = new Map<string, Cron>()
function cronOf(cron: string, timezone: string): Cron {
  const key = `${cron} ${timezone}`
  let made = kept.get(key)
  if (!made) {
    if (kept.size >= 1_000) kept.clear()
    made = new Cron(cron, { timezone, paused: true })
    kept.set(key, made)
  }
  return made
}

/** Fires by the hours that pass and not by those that the clock shows. */
const isEveryHour = (cron: string) => ['*', '*/1', '0-23'].includes(cron.trim().split(/\s+/)[1] ?? '')

/** The first time after `after`, whatever the calendar says. */
function nextOfCron({ cron, timezone }: Times, after: Date): Date | undefined {
  if (isEveryHour(cron)) return cronOf(cron, timezone).nextRun(after) ?? undefined
  for (let wall: Date | null = wallOf(timezone, after); ;) {
    wall = cronOf(cron, 'UTC').nextRun(wall)
    if (!wall) return undefined
    const at = instantOf(timezone, wall)
    if (at > after) return at
  }
}

function previousOfCron({ cron, timezone }: Times, before: Date): Date | undefined {
  if (isEveryHour(cron)) return cronOf(cron, timezone).previousRuns(1, before)[0]
  // Where the clock has just been put back, what it showed before that was later.
  const back = offsetMs(timezone, new Date(before.getTime() - 3 * 60 * minuteMs)) - offsetMs(timezone, before)
  let wall: Date | undefined = new Date(wallOf(timezone, before).getTime() + Math.max(back, 0) + 1_000)
  for (;;) {
    wall = cronOf(cron, 'UTC').previousRuns(1, wall)[0]
    if (!wall) return undefined
    const at = instantOf(timezone, wall)
    if (at < before) return at
  }
}

/**
 * The first time after `after`; undefined when there is none any more. With hours of its own in the expression, a time that
 * a change of clocks skips is made up for right after it, and of one that comes twice the first counts. Without, every
 * hour that passes has its times.
 */
export function nextTime(times: Times, after: Date): Date | undefined {
  let at = after
  for (let off = 0; off < mostDaysOff; off++) {
    const next = nextOfCron(times, at)
    if (!next || isOn(times, next)) return next
    at = new Date(midnight(times.timezone, next, dayMs).getTime() - 1_000)
  }
  return undefined
}

/** The last time before `before`. */
export function previousTime(times: Times, before: Date): Date | undefined {
  let at = before
  for (let off = 0; off < mostDaysOff; off++) {
    const previous = previousOfCron(times, at)
    if (!previous || isOn(times, previous)) return previous
    at = midnight(times.timezone, previous, 0)
  }
  return undefined
}

const isOn = ({ timezone, days }: Times, at: Date) => !days || isCalendarDay(days, dateIn(timezone, at))

/** The beginning of the day that the zone has at this moment, or of another. */
const midnight = (timezone: string, at: Date, laterMs: number): Date =>
  instantOf(timezone, new Date(Date.parse(`${dateIn(timezone, at)}T00:00:00Z`) + laterMs))

/** Times from `from`, itself one, while they are not after `until`: at most `most`, and the one that follows them. */
function timesFrom(times: Times, from: Date | undefined, until: Date, most: number) {
  const found: Date[] = []
  let at = from
  while (at && at <= until && found.length < most) {
    found.push(at)
    at = nextTime(times, at)
  }
  return { times: found, next: at }
}

/**
 * What firing the schedule at `now` has to do when `due` is its time: the times to start runs for, and the time that is
 * due then. More than one time has come only when nothing could fire for a while, and what was missed is caught up on by
 * the schedule's rule.
 */
export function planFire(
  schedule: Times & { catchUp: CatchUp; jitterMs: number },
  due: Date,
  now: Date,
): { times: Date[]; next: Date | undefined } {
  if (due > now) return { times: [due], next: nextTime(schedule, due) }
  const missedBefore = new Date(now.getTime() - graceMs - schedule.jitterMs)
  if (due >= missedBefore) return timesFrom(schedule, due, now, mostAtOnce)
  switch (schedule.catchUp) {
    case 'all':
      return timesFrom(schedule, oldestToCatchUp(schedule, due, now), now, mostAtOnce)
    case 'last': {
      const last = previousTime(schedule, new Date(now.getTime() + 1)) ?? due
      const at = last < due ? due : last
      return { times: [at], next: nextTime(schedule, at) }
    }
    case 'none': {
      const recent = nextTime(schedule, new Date(missedBefore.getTime() - 1))
      return timesFrom(schedule, recent, now, mostAtOnce)
    }
  }
}

function oldestToCatchUp(times: Times, due: Date, now: Date): Date {
  if (now.getTime() - due.getTime() <= mostMissed * minuteMs) return due
  let oldest: Date | undefined = new Date(now.getTime() + 1)
  for (let i = 0; i < mostMissed && oldest && oldest > due; i++) oldest = previousTime(times, oldest)
  return oldest && oldest > due ? oldest : due
}

/** How long after its time a schedule fires: the same for the same schedule and time, and spread evenly over them. */
export function jitterOf(scheduleId: string, at: Date, jitterMs: number): number {
  if (jitterMs <= 0) return 0
  let hash = 0x811c9dc5
  for (const char of `${scheduleId} ${at.toISOString()}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  }
  // FNV leaves the upper bits of texts that differ in their last characters alike.
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return ((hash ^ (hash >>> 16)) >>> 0) % jitterMs
}

/** Why these cannot be a schedule, in words for its author; undefined when they can. */
export function scheduleProblem(cron: string, timezone: string): string | undefined {
  if (cron.trim().split(/\s+/).length !== 5) {
    return `must have five fields (minute hour day month weekday), found "${cron}"`
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch {
    return `"${timezone}" is no IANA time zone`
  }
  try {
    if (nextTime({ cron, timezone }, new Date())) return undefined
  } catch {
    // Croner says it in words of its own.
  }
  return `"${cron}" is no cron expression that ever fires`
}
