import type { Parameters } from './parameters.ts'
import type { CatchUp, Overlap } from './schedule.ts'

export type CronTrigger = {
  cron: string
  timezone: string
  calendar?: string
  catchUp: CatchUp
  overlap: Overlap
  jitterMs: number
  parameters?: Parameters
}

export const ends = ['succeeded', 'failed', 'finished'] as const
export type End = (typeof ends)[number]

/** What starts a pipeline without anybody asking for it at that moment. */
export type Trigger =
  | CronTrigger
  | { datasets: string[]; when: 'any' | 'all' }
  | { webhook: true }
  | { pipeline: string; on: End[] }

export const notices = ['failed', 'late', 'recovered', 'succeeded', 'warning'] as const
export type Notice = (typeof notices)[number]

/** Each with a key that it keeps from version to version; those of one key are numbered in the order in which they stand. */
export function keyed<T>(
  triggers: readonly T[],
  keyOf: (trigger: T) => string,
): { trigger: T; key: string }[] {
  const seen = new Map<string, number>()
  return triggers.map((trigger) => {
    const key = keyOf(trigger)
    const count = (seen.get(key) ?? 0) + 1
    seen.set(key, count)
    return { trigger, key: count === 1 ? key : `${key} ${count}` }
  })
}
