import type { ComponentChildren } from 'preact'
import styles from './entrance.module.css'

/** The card that signing in and signing up stand in. */
export function Entrance({ children }: { children: ComponentChildren }) {
  return (
    <div class={styles.card}>
      <p class={styles.brand}>Weir</p>
      {children}
    </div>
  )
}
