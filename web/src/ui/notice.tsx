import type { ReadonlySignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import styles from './notice.module.css'

/** Says what has just been done. Where that took away what had the focus, it is here that one goes on. */
export function Notice({ text }: { text: ReadonlySignal<string> }) {
  const element = useRef<HTMLOutputElement>(null)
  useEffect(() => {
    if (text.value !== '' && document.activeElement === document.body) element.current?.focus()
  }, [text.value])
  return (
    <output class={styles.notice} ref={element} tabIndex={-1}>
      {text.value}
    </output>
  )
}
