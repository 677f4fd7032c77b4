import type { ComponentChildren } from 'preact'
import styles from './actions.module.css'

/** The buttons of a table's row, side by side. */
export function Actions({ children }: { children: ComponentChildren }) {
  return <div class={styles.actions}>{children}</div>
}
