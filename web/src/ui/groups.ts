/** Pages that stand under one entry of the header. */
export const groups = {
  runs: [
    { path: '/runs', name: 'All runs' },
    { path: '/backfills', name: 'Backfills' },
  ],
  attention: [
    { path: '/approvals', name: 'Approvals' },
    { path: '/dead-letters', name: 'Dead letters' },
    { path: '/alerts', name: 'Alerts' },
  ],
} as const
export type Group = keyof typeof groups

export const pathsOf = (group: Group): string[] => groups[group].map(({ path }) => path)
