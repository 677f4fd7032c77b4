import type { Permission } from '#src/domain/role.ts'

type Resource = Permission extends `${infer R}:${string}` ? R : never

const words: Record<Resource, string> = {
  pipelines: 'Pipelines',
  runs: 'Runs',
  datasets: 'Datasets',
  connections: 'Connections',
  projects: 'Projects',
  usage: 'Usage',
  audit: 'Audit',
  members: 'Members',
  'api-keys': 'API keys',
  access: 'Roles and grants',
  limits: 'Limits',
  tenant: 'The organisation',
  sso: 'Single sign-on',
  scim: 'Provisioning (SCIM)',
  privacy: 'Personal data',
}

export type ScopeRow = { name: string; read?: Permission; write?: Permission }

/** What somebody may give to a key, as a table: what it is about, reading, writing. */
export function scopeRows(own: readonly Permission[]): ScopeRow[] {
  const find = (wanted: string) => own.find((one) => one === wanted)
  return Object.entries(words).flatMap(([resource, name]) => {
    const read = find(`${resource}:read`)
    const write = find(`${resource}:write`)
    if (read === undefined && write === undefined) return []
    return [{ name, ...(read && { read }), ...(write && { write }) }]
  })
}

const work = /^(pipelines|runs|datasets|connections|projects):/

/** Where to begin from: most keys need one of these. */
export const presets: readonly { name: string; fits: (one: Permission) => boolean }[] = [
  { name: 'Only read', fits: (one) => work.test(one) && one.endsWith(':read') },
  {
    name: 'Read and run',
    fits: (one) => work.test(one) && (one.endsWith(':read') || one === 'runs:write'),
  },
  { name: 'Build and run', fits: (one) => work.test(one) && one !== 'projects:write' },
  { name: 'All that I may do', fits: () => true },
  { name: 'None', fits: () => false },
]
