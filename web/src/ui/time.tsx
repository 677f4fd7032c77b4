const parts = {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
} as const
const short = new Intl.DateTimeFormat(undefined, parts)
const long = new Intl.DateTimeFormat(undefined, { ...parts, timeZoneName: 'short' })

/** The zone of whoever looks, in which all times are shown. */
export const ownZone = long.resolvedOptions().timeZone

/** A time as whoever looks reads it; its zone shows itself beside it, or when it is pointed at. */
export function Time({ at, zone = false }: { at: string; zone?: boolean }) {
  const date = new Date(at)
  const whole = long.format(date)
  return (
    <time dateTime={at} title={`${whole} (${ownZone})`}>
      {zone ? whole : short.format(date)}
    </time>
  )
}
