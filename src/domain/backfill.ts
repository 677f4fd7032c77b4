import { nextTime, type Times } from './schedule.ts'
import { instantOf } from './wall-clock.ts'

export const mostTimes = 10_000

/** What partitions begin with, as cron expressions. */
export const partitions = { hour: '0 * * * *', day: '0 0 * * *', month: '0 0 1 * *' } as const
export type Partition = keyof typeof partitions

export const isDate = (text: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(text)

/** When a range begins, or ends: a date stands for its whole day in the zone. */
export function edgeOf(text: string, timezone: string, edge: 'from' | 'to'): Date {
  if (!isDate(text)) return new Date(text)
  const midnight = Date.parse(`${text}T00:00:00Z`)
  return edge === 'from'
    ? instantOf(timezone, new Date(midnight))
    : new Date(instantOf(timezone, new Date(midnight + 86_400_000)).getTime() - 1)
}

/** The times from one moment to another, both included, the oldest first; undefined when they are more than `most`. */
export function timesBetween(times: Times, from: Date, to: Date, most: number): Date[] | undefined {
  const found: Date[] = []
  let at = nextTime(times, new Date(from.getTime() - 1))
  while (at && at <= to) {
    if (found.length === most) return undefined
    found.push(at)
    at = nextTime(times, at)
  }
  return found
}
