import type { RunState, StepState } from '#src/domain/run-state.ts'
import styles from './status-pill.module.css'

type Check = 'passed' | 'warned' | 'rejected'
/** Of a backfill, a dead letter, an alert. */
type Matter = 'paused' | 'finished' | 'open' | 'replayed' | 'dismissed' | 'resolved'
export type Status = RunState | StepState | Check | Matter

const signs: Record<Status, { sign: string; tone: string | undefined }> = {
  queued: { sign: '○', tone: styles.muted },
  pending: { sign: '○', tone: styles.muted },
  ready: { sign: '○', tone: styles.muted },
  waiting: { sign: '◔', tone: styles.muted },
  running: { sign: '▶', tone: styles.active },
  succeeded: { sign: '✓', tone: styles.good },
  passed: { sign: '✓', tone: styles.good },
  succeeded_with_warnings: { sign: '!', tone: styles.warn },
  warned: { sign: '!', tone: styles.warn },
  rejected: { sign: '!', tone: styles.warn },
  failed: { sign: '✕', tone: styles.bad },
  cancelling: { sign: '■', tone: styles.warn },
  cancelled: { sign: '■', tone: styles.muted },
  skipped: { sign: '↷', tone: styles.muted },
  paused: { sign: '‖', tone: styles.warn },
  finished: { sign: '✓', tone: styles.good },
  open: { sign: '!', tone: styles.bad },
  replayed: { sign: '↻', tone: styles.good },
  dismissed: { sign: '–', tone: styles.muted },
  resolved: { sign: '✓', tone: styles.muted },
}

/** A state as a sign and a word, never as a colour alone. */
export function StatusPill({ state }: { state: Status }) {
  const { sign, tone } = signs[state]
  return (
    <span class={`${styles.pill} ${tone}`}>
      <span class={styles.sign} aria-hidden="true">
        {sign}
      </span>
      {stateWords(state)}
    </span>
  )
}

export const stateWords = (state: Status): string =>
  state === 'succeeded_with_warnings' ? 'with warnings' : state
