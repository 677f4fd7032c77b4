import { deviceName } from '../../ui/device.ts'
import type { Entry } from './model.ts'

type Fact = [name: string, value: string]

/** What else an entry tells, in words. */
export function factsOf({ details, records, requestId, userAgent, seq, hash }: Entry): Fact[] {
  const { changed, ...rest } = details
  return [
    ...changesOf(changed),
    ...Object.entries(rest).map(([name, value]): Fact => [name, wordsOf(value)]),
    ...(records === null ? [] : [['records shown', String(records)] satisfies Fact]),
    ...(userAgent === null ? [] : [['device', deviceName(userAgent)] satisfies Fact]),
    ...(requestId === null ? [] : [['request', requestId] satisfies Fact]),
    ['place in the chain', seq === null ? 'not sealed yet' : `${seq}, ${hash}`],
  ]
}

/** Each field that was changed: from what to what. */
function changesOf(changed: unknown): Fact[] {
  if (typeof changed !== 'object' || changed === null) return []
  return Object.entries(changed as Record<string, unknown>).map(([name, change]) => {
    if (typeof change !== 'object' || change === null) return [name, wordsOf(change)]
    const { from, to, hidden } = change as { from?: unknown; to?: unknown; hidden?: boolean }
    if (hidden) return [name, 'changed, to what is not shown']
    if (from === undefined && to === undefined) return [name, wordsOf(change)]
    if (from === undefined) return [name, wordsOf(to)]
    return [name, `${wordsOf(from)} → ${to === undefined ? 'nothing' : wordsOf(to)}`]
  })
}

const wordsOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
