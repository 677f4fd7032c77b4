import * as z from 'zod'

const wholeDate = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/
const everyYear = /^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/

const date = z
  .string()
  .refine(
    (text) => wholeDate.test(text) || everyYear.test(text),
    'must be a date such as 2026-12-24, or 12-24 for every year',
  )

const weekdays = z
  .array(z.number().int().min(1).max(7))
  .max(7)
  .transform((days) => [...new Set(days)].toSorted((a, b) => a - b))
const dates = z.array(date).max(2_000)

/** The days of a business calendar: its weekdays (1 is Monday) without `exclude`, and `include` whatever else is said. */
export const calendarDays = z.strictObject({
  weekdays: weekdays.default([1, 2, 3, 4, 5]),
  include: dates.default([]),
  exclude: dates.default([]),
})
export const calendarChange = z.strictObject({ weekdays, include: dates, exclude: dates }).partial()
export type CalendarDays = z.output<typeof calendarDays>

/** Whether a date (2026-12-24) is one of the calendar's days. */
export function isCalendarDay(days: CalendarDays, on: string): boolean {
  const names = (dates: readonly string[]) => dates.includes(on) || dates.includes(on.slice(5))
  if (names(days.include)) return true
  if (names(days.exclude)) return false
  return days.weekdays.includes(new Date(`${on}T00:00:00Z`).getUTCDay() || 7)
}
