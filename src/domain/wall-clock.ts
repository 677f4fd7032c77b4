const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timezone: string): Intl.DateTimeFormat {
  let format = formats.get(timezone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: timezone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formats.set(timezone, format)
  }
  return format
}

/** What a clock on the wall shows at this moment, as if it were UTC; to the second. */
export function wallOf(timezone: string, at: Date): Date {
  const wall = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 }
  for (const { type, value } of formatOf(timezone).formatToParts(at)) {
    if (type in wall) wall[type as keyof typeof wall] = Number(value)
  }
  return new Date(Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute, wall.second))
}

/** The date in the zone at this moment, such as 2026-12-24. */
export const dateIn = (timezone: string, at: Date): string => wallOf(timezone, at).toISOString().slice(0, 10)

/** How far the zone is ahead of UTC at this moment. */
export const offsetMs = (timezone: string, at: Date): number =>
  wallOf(timezone, at).getTime() - Math.floor(at.getTime() / 1_000) * 1_000

const dayMs = 86_400_000

/** When the clock on the wall shows this: the first time where it does so twice, and where it never does, right after the gap. */
export function instantOf(timezone: string, wall: Date): Date {
  const before = offsetMs(timezone, new Date(wall.getTime() - dayMs))
  const after = offsetMs(timezone, new Date(wall.getTime() + dayMs))
  for (const offset of [before, after]) {
    const at = new Date(wall.getTime() - offset)
    if (offsetMs(timezone, at) === offset) return at
  }
  let [early, late] = [wall.getTime() - after, wall.getTime() - before]
  while (late - early > 1_000) {
    const middle = Math.floor((early + late) / 2_000) * 1_000
    if (offsetMs(timezone, new Date(middle)) === before) early = middle
    else late = middle
  }
  return new Date(late)
}
