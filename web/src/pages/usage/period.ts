export const groupings = { project: 'Project', pipeline: 'Pipeline', day: 'Day', tag: 'Tag' } as const
export type Grouping = keyof typeof groupings
export type Period = { from: string; to: string }

/** A month in days, all of it or as far as it has come; days of usage are those of UTC. */
export function monthOf(now: Date, before: number): Period {
  const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - before, 1))
  const last = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - before + 1, 0))
  return { from: dayOf(first), to: dayOf(before === 0 ? now : last) }
}

const dayOf = (at: Date): string => at.toISOString().slice(0, 10)

export const groupingOf = (text: string | undefined): Grouping =>
  text !== undefined && Object.hasOwn(groupings, text) ? (text as Grouping) : 'project'
