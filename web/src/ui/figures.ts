const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** 950 ms, 12.3 s, 4 min 05 s, 3 h 07 min. */
export function duration(ms: number): string {
  if (ms < second) return `${Math.max(0, Math.round(ms))} ms`
  // By what is shown: 59.96 s is a minute.
  if (Math.round(ms / 100) < 600) return `${(ms / second).toFixed(1)} s`
  const seconds = Math.round(ms / second)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
  const minutes = Math.round(ms / minute)
  return `${Math.floor((minutes * minute) / hour)} h ${two(minutes % 60)} min`
}

const two = (value: number): string => String(value).padStart(2, '0')

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })

/** 3,000,000 */
export const count = (value: number): string => whole.format(value)

/** 1.23M: for what changes while it is read. */
export const rate = (perSecond: number): string => short.format(perSecond)

/** The end of an id: enough to tell two of them apart. */
export const shortId = (id: string): string => `…${id.slice(-8)}`
