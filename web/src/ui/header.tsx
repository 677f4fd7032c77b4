import { useLocation } from 'preact-iso'
import { session } from '../browser.ts'
import { Alert } from './alert.tsx'
import { pathsOf } from './groups.ts'
import { isAt } from './settings.ts'
import { SettingsMenu } from './settings-menu.tsx'
import { TenantSwitch } from './tenant-switch.tsx'
import styles from './header.module.css'

export function Header() {
  const { path } = useLocation()
  const state = session.state.value
  if (state.state !== 'ready') return null
  const { tenant, user } = state.value
  const current = (...pages: string[]) =>
    pages.some((page) => isAt(path, page)) ? ('page' as const) : undefined
  return (
    <header class={styles.header}>
      <a class={styles.brand} href="/">
        Weir
      </a>
      <nav aria-label="Main" class={styles.nav}>
        <a href="/pipelines" aria-current={path === '/' ? 'page' : current('/pipelines')}>
          Pipelines
        </a>
        <a href="/runs" aria-current={current(...pathsOf('runs'))}>
          Runs
        </a>
        <a href="/approvals" aria-current={current(...pathsOf('attention'))}>
          Attention
        </a>
      </nav>
      <p class={styles.tenant}>{user ? <TenantSwitch current={tenant} /> : tenant.name}</p>
      <SettingsMenu email={user?.email} />
      {session.problem.value && <Alert problem={session.problem.value} />}
    </header>
  )
}
