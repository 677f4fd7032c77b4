const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export function Time({ at }: { at: string | undefined }) {
  if (at === undefined) return <>–</>
  return <time dateTime={at}>{format.format(new Date(at))}</time>
}

/** 950 ms, 12.3 s, 4 min 05 s. */
export function duration(ms: number | undefined): string {
  if (ms === undefined) return '–'
  if (ms < 1000) return `${ms} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${String(Math.round((ms % 60_000) / 1000)).padStart(2, '0')} s`
}

export const count = (value: number): string => value.toLocaleString()
