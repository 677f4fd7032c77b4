import styles from './waiting.module.css'

/** Shows itself only when it takes long enough to be noticed. */
export function Waiting() {
  return <output class={styles.waiting}>Loading…</output>
}
