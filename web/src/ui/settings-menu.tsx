import { useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { session } from '../browser.ts'
import { isAt, settingsPages } from './settings.ts'
import styles from './settings-menu.module.css'

/** The way to everything that is about people and their access. A list that opens below its button, and closes by itself. */
export function SettingsMenu({ email }: { email?: string | undefined }) {
  const { path } = useLocation()
  const isOpen = useSignal(false)
  const frame = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const close = () => {
    isOpen.value = false
  }
  useLayoutEffect(() => {
    if (!isOpen.value) return undefined
    const leave = ({ target }: Event) => {
      if (target instanceof Node && frame.current?.contains(target) === false) close()
    }
    const escape = ({ key }: KeyboardEvent) => {
      if (key !== 'Escape') return
      close()
      button.current?.focus()
    }
    document.addEventListener('pointerdown', leave)
    document.addEventListener('focusin', leave)
    document.addEventListener('keydown', escape)
    return () => {
      document.removeEventListener('pointerdown', leave)
      document.removeEventListener('focusin', leave)
      document.removeEventListener('keydown', escape)
    }
  }, [isOpen.value])
  const pages = settingsPages()
  return (
    <div class={styles.frame} ref={frame}>
      <button
        ref={button}
        type="button"
        class={styles.button}
        aria-expanded={isOpen.value}
        aria-controls="settings-menu"
        data-current={pages.some((page) => isAt(path, page.path))}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        Settings{' '}
        <span class={styles.sign} aria-hidden="true">
          ▾
        </span>
      </button>
      <div id="settings-menu" class={styles.menu} hidden={!isOpen.value}>
        {email !== undefined && (
          <p class={styles.who}>
            Signed in as <strong>{email}</strong>
          </p>
        )}
        <nav aria-label="Settings">
          <ul class={styles.list}>
            {pages.map((page) => (
              <li key={page.path}>
                <a
                  href={page.path}
                  aria-current={isAt(path, page.path) ? ('page' as const) : undefined}
                  onClick={close}
                >
                  {page.name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <button type="button" class={styles.leave} onClick={() => void session.leave()}>
          Sign out
        </button>
      </div>
    </div>
  )
}
