import styles from './status-pill.module.css'

const signs: Record<string, { sign: string; tone: string | undefined }> = {
  queued: { sign: '…', tone: styles.muted },
  pending: { sign: '…', tone: styles.muted },
  ready: { sign: '…', tone: styles.muted },
  waiting: { sign: '⏸', tone: styles.muted },
  running: { sign: '▶', tone: styles.active },
  succeeded: { sign: '✓', tone: styles.good },
  succeeded_with_warnings: { sign: '!', tone: styles.warn },
  failed: { sign: '✕', tone: styles.bad },
  cancelling: { sign: '■', tone: styles.warn },
  cancelled: { sign: '■', tone: styles.warn },
  skipped: { sign: '↷', tone: styles.muted },
}

/** A state as a sign and a word, never as a colour alone. */
export function StatusPill({ state }: { state: string }) {
  const { sign, tone } = signs[state] ?? { sign: '?', tone: styles.muted }
  return (
    <span class={`${styles.pill} ${tone}`}>
      <span aria-hidden="true">{sign}</span> {state.replaceAll('_', ' ')}
    </span>
  )
}
