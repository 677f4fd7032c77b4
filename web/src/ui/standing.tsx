import type { ComponentChildren } from 'preact'
import styles from './standing.module.css'

type StandingProps = {
  /** Said aloud when it changes. */
  state: ComponentChildren
  /** What can be done about it. */
  children?: ComponentChildren
}

/** How the one thing that a page is about stands at the moment. */
export function Standing({ state, children }: StandingProps) {
  return (
    <div class={styles.standing}>
      <output>{state}</output>
      {children}
    </div>
  )
}
