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

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const

/** 512 byte, 1.2 kB, 3.45 GB: powers of a thousand. */
export function bytes(value: number): string {
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), units.length - 1)
  const style = { style: 'unit', unit: units[power] ?? 'byte', maximumSignificantDigits: 3 } as const
  return new Intl.NumberFormat(undefined, style).format(value / 1000 ** power)
}

/** $1,234.50; what is less than a cent keeps what can be seen of it. */
export function dollars(decimal: string): string {
  const value = Number(decimal)
  const digits = value === 0 || value >= 0.01 ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: 2 }
  return new Intl.NumberFormat(undefined, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    ...digits,
  }).format(value)
}
