import type { ComponentChildren } from 'preact'
import { useLocation } from 'preact-iso'
import type { Permission } from '#src/domain/role.ts'
import { may } from '../may.ts'
import { Page } from './page.tsx'
import { isAt, settingsPages } from './settings.ts'
import styles from './settings-page.module.css'

type SettingsPageProps = {
  title: string
  /** What one must be allowed to see it. */
  needs?: Permission
  /** Shown only to whom it is allowed, so that nothing is asked for in vain. */
  children: () => ComponentChildren
}

/** One of the pages of the settings, with the way to the others beside it where there is room. */
export function SettingsPage({ title, needs, children }: SettingsPageProps) {
  const { path } = useLocation()
  return (
    <div class={styles.layout}>
      <nav class={styles.nav} aria-label="Pages of the settings">
        <ul>
          {settingsPages().map((page) => (
            <li key={page.path}>
              <a href={page.path} aria-current={isAt(path, page.path) ? ('page' as const) : undefined}>
                {page.name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class={styles.content}>
        <Page title={title}>
          {needs === undefined || may(needs) ? (
            children()
          ) : (
            <p role="alert">
              Your role does not allow this page (it needs <code>{needs}</code>). An owner or an admin of your
              organisation can give you another role.
            </p>
          )}
        </Page>
      </div>
    </div>
  )
}
