import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import styles from './table.module.css'

/** A table that scrolls sideways by itself where the window is too narrow, by keyboard as well. */
export function Table({ caption, children }: { caption: string; children: ComponentChildren }) {
  const id = useId()
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse
    <section class={styles.frame} aria-labelledby={id} tabIndex={0}>
      <table>
        <caption id={id}>{caption}</caption>
        {children}
      </table>
    </section>
  )
}
