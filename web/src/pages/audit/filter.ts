/** What is asked for, as it stands in the page's address: days are those of whoever looks. */
export const filterNames = ['search', 'action', 'actor', 'from', 'to'] as const
export type Filter = Partial<Record<(typeof filterNames)[number], string>>

/** Only what is known and filled in. */
export function filterOf(read: (name: string) => string | undefined): Filter {
  const filter: Filter = {}
  for (const name of filterNames) {
    const value = read(name)?.trim()
    if (value) filter[name] = value
  }
  return filter
}

/** The same as the API takes it: from the beginning of a day to the end of another. */
export function asked({ from, to, ...rest }: Filter): Filter {
  const begin = from === undefined ? undefined : timeOf(from, 0)
  const end = to === undefined ? undefined : timeOf(to, 1)
  return { ...rest, ...(begin && { from: begin }), ...(end && { to: end }) }
}

function timeOf(day: string, later: number): string | undefined {
  const at = new Date(`${day}T00:00:00`)
  at.setDate(at.getDate() + later)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}
