import { Cron } from 'croner'

/** When the schedule fires next after `after`. A time that a change of clocks skips is made up for right after it. */
export function nextFire(cron: string, timezone: string, after: Date): Date {
  const next = new Cron(cron, { timezone, paused: true }).nextRun(after)
  if (!next) throw new RangeError('this schedule never fires again')
  return next
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
    nextFire(cron, timezone, new Date())
    return undefined
  } catch {
    return `"${cron}" is no cron expression that ever fires`
  }
}
