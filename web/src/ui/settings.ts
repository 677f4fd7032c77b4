import type { Permission } from '#src/domain/role.ts'
import { may } from '../may.ts'

type SettingsPage = { path: string; name: string; needs?: Permission }

const pages: readonly SettingsPage[] = [
  { path: '/account', name: 'Account' },
  { path: '/security', name: 'Security' },
  { path: '/keys', name: 'API keys' },
  { path: '/service-accounts', name: 'Service accounts', needs: 'api-keys:read' },
  { path: '/members', name: 'Members', needs: 'members:read' },
  { path: '/audit', name: 'Audit', needs: 'audit:read' },
  { path: '/usage', name: 'Usage', needs: 'usage:read' },
]

/** What is no pipeline and no run: all of it that the person who is signed in may see. */
export const settingsPages = (): readonly SettingsPage[] =>
  pages.filter(({ needs }) => needs === undefined || may(needs))

export const isAt = (path: string, page: string): boolean => path === page || path.startsWith(`${page}/`)
