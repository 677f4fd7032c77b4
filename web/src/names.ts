import type { Permission } from '#src/domain/role.ts'
import { ask, type Client } from './api.ts'

const most = '500'
type Mays = (wanted: Permission) => boolean

/** What ids stand for, as far as whoever asks may know it: people by their addresses, the others by their names. */
export async function readNames(
  api: Client,
  may: Mays,
  of: readonly ('members' | 'service-accounts' | 'api-keys' | 'projects' | 'pipelines')[],
): Promise<ReadonlyMap<string, string>> {
  const query = { limit: most }
  const readers = {
    members: { needs: 'members:read', read: () => ask(api.v1.members.$get({ query })) },
    'service-accounts': {
      needs: 'api-keys:read',
      read: () => ask(api.v1['service-accounts'].$get({ query })),
    },
    'api-keys': { needs: 'api-keys:read', read: () => ask(api.v1['api-keys'].$get({ query })) },
    projects: { needs: 'projects:read', read: () => ask(api.v1.projects.$get({ query })) },
    pipelines: { needs: 'pipelines:read', read: () => ask(api.v1.pipelines.$get({ query })) },
  } as const
  const names = new Map<string, string>()
  await Promise.all(
    of.map(async (kind) => {
      const { needs, read } = readers[kind]
      if (!may(needs)) return
      const answer = await read()
      if (answer.state === 'failed') return
      for (const one of answer.value.items) names.set(one.id, nameOf(one, kind))
    }),
  )
  return names
}

const nameOf = (one: { email: string } | { name: string }, kind: string): string =>
  'email' in one ? one.email : kind === 'api-keys' ? `key ${one.name}` : one.name
