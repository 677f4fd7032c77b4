import { useLocation } from 'preact-iso'
import { groups, type Group } from './groups.ts'
import { isAt } from './settings.ts'
import styles from './group-nav.module.css'

const names: Record<Group, string> = { runs: 'Pages about runs', attention: 'What wants attention' }

/** The way to the other pages under the same entry of the header. */
export function GroupNav({ of }: { of: Group }) {
  const { path } = useLocation()
  return (
    <nav class={styles.nav} aria-label={names[of]}>
      {groups[of].map((page) => (
        <a
          key={page.path}
          href={page.path}
          aria-current={isAt(path, page.path) ? ('page' as const) : undefined}
        >
          {page.name}
        </a>
      ))}
    </nav>
  )
}
