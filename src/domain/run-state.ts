export const runStates = [
  'queued',
  'running',
  'waiting',
  'succeeded',
  'succeeded_with_warnings',
  'failed',
  'cancelling',
  'cancelled',
] as const
export type RunState = (typeof runStates)[number]

export const stepStates = [
  'pending',
  'ready',
  'running',
  'waiting',
  'succeeded',
  'failed',
  'skipped',
  'cancelled',
] as const
export type StepState = (typeof stepStates)[number]

/** What made a run start. */
export const runTriggers = [
  'manual',
  'schedule',
  'event',
  'dataset',
  'upstream',
  'backfill',
  'parent',
  'rerun',
] as const
export type RunTrigger = (typeof runTriggers)[number]

/** Every move that there is. What is not here never happens; the functions of migrations/0004 make the same ones. */
export const runMoves = {
  queued: ['running', 'cancelling', 'cancelled', 'succeeded', 'succeeded_with_warnings', 'failed'],
  running: ['waiting', 'succeeded', 'succeeded_with_warnings', 'failed', 'cancelling'],
  waiting: ['running', 'cancelling', 'cancelled', 'succeeded', 'succeeded_with_warnings', 'failed'],
  cancelling: ['cancelled'],
  succeeded: [],
  succeeded_with_warnings: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<RunState, readonly RunState[]>

export const stepMoves = {
  pending: ['ready', 'skipped', 'cancelled'],
  ready: ['running', 'succeeded', 'failed', 'cancelled'],
  running: ['succeeded', 'failed', 'skipped', 'cancelled', 'waiting', 'ready'],
  waiting: ['running', 'ready', 'succeeded', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  skipped: [],
  cancelled: [],
} as const satisfies Record<StepState, readonly StepState[]>

export const whens = [
  'all_success',
  'all_done',
  'all_failed',
  'one_success',
  'one_failed',
  'none_failed',
  'none_failed_min_one_success',
  'always',
] as const
export type When = (typeof whens)[number]

export type Needs = { total: number; succeeded: number; failed: number; skipped: number }

/**
 * Whether a step may start, given what became of the steps it needs; the same table as app.decide. A step that was
 * cancelled counts as failed. What can no longer come true is skipped at once.
 */
export function decide(when: When, { total, succeeded, failed, skipped }: Needs): 'run' | 'skip' | 'wait' {
  const open = total - succeeded - failed - skipped
  switch (when) {
    case 'always':
      return 'run'
    case 'all_success':
      return failed + skipped > 0 ? 'skip' : open === 0 ? 'run' : 'wait'
    case 'all_done':
      return open === 0 ? 'run' : 'wait'
    case 'all_failed':
      return succeeded + skipped > 0 ? 'skip' : open === 0 ? 'run' : 'wait'
    case 'one_success':
      return succeeded > 0 ? 'run' : open === 0 ? 'skip' : 'wait'
    case 'one_failed':
      return failed > 0 ? 'run' : open === 0 ? 'skip' : 'wait'
    case 'none_failed':
      return failed > 0 ? 'skip' : open === 0 ? 'run' : 'wait'
    case 'none_failed_min_one_success':
      if (failed > 0) return 'skip'
      if (open > 0) return 'wait'
      return succeeded > 0 ? 'run' : 'skip'
  }
}
