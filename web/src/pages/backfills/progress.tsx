import { count } from '../../ui/figures.ts'
import { progressOf, type Backfill } from './backfill.ts'
import styles from './progress.module.css'

/** How far a backfill is, as a bar and in words. */
export function Progress({ of }: { of: Backfill }) {
  const { total, done, failed, left } = progressOf(of)
  const isStopped = of.state === 'cancelled'
  return (
    <span class={styles.progress}>
      <progress max={Math.max(total, 1)} value={done} aria-label={`${count(done)} of ${count(total)} runs`} />
      <span>
        {count(done)} of {count(total)} done
        {failed > 0 && <span class={styles.failed}>, {count(failed)} failed</span>}
        {left > 0 && `, ${count(left)} ${isStopped ? 'never started' : 'left'}`}
      </span>
    </span>
  )
}
