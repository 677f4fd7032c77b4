import type { Step } from './run.ts'

const byKind: Record<string, string> = {
  wait: 'its time, or what it looks for',
  pipeline: 'the run that it has started',
  call: 'its answer',
  map: 'its items',
}

/** What a step that is not at work and not over waits for, in words. */
export function waitWords({ state, kind, attempt, waitsFor, items }: Step): string | undefined {
  if (state === 'pending') return 'the steps before it'
  if (state === 'ready') return attempt > 0 ? 'its next attempt' : 'a free place'
  if (state !== 'waiting') return undefined
  if (waitsFor?.approval) return `approval by ${waitsFor.approval.roles.join(' or ')}`
  if (waitsFor?.callback) return `an answer at ${waitsFor.callback.url}`
  if (items) return `${items.open} of its ${items.total} items`
  return byKind[kind] ?? 'what it has asked for'
}
