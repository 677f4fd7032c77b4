import type { Permission } from '#src/domain/role.ts'

/**
 * What a route asks of its caller: a permission; only to be a member (with any credential); to be a signed-in person, not
 * a key; or nothing.
 */
export type Needs = Permission | 'member' | 'person' | 'anybody'

export type Walked = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** As it stands in the app's own table. */
  path: string
  needs: Needs
  /** What it asks for besides: because nobody gives what they do not have, mostly. */
  also: readonly Permission[]
  /** Who alone may ask, whatever they are allowed: what changes a tenant or an account is for people, SCIM for keys. */
  by: 'person' | 'key' | undefined
  /** What stands for each `:name` of the path: a thing of the tenant's, or a text. `id` is told by the path. */
  at: Readonly<Record<string, string>>
  query: string
  headers: Readonly<Record<string, string>>
  /** `:thing` in a text of it is the id of one of the tenant's. */
  body: unknown
  /** Of a public route: how it answers to a request with nothing in it. */
  bare: number
  /** How it answers when it is asked with nothing but what it needs. */
  lone: number
}
type Rest = Partial<Omit<Walked, 'method' | 'path' | 'needs'>>

export function route(
  method: Walked['method'],
  path: string,
  needs: Needs,
  { at = {}, query = '', headers = {}, body, also = [], by, bare = 200, lone = 200 }: Rest = {},
): Walked {
  return { method, path, needs, also, by, at, query, headers, body, bare, lone }
}

/** Whatever version there is. */
export const any = { 'If-Match': '*' }

/** Which thing the `:id` under a path is. */
const thingOf: Readonly<Record<string, string>> = {
  alerts: 'alert',
  'api-keys': 'apiKey',
  backfills: 'backfill',
  calendars: 'calendar',
  channels: 'channel',
  connections: 'connection',
  datasets: 'dataset',
  'dead-letters': 'deadLetter',
  pipelines: 'pipeline',
  runs: 'run',
  members: 'member',
  former: 'former',
  invitations: 'invitation',
  projects: 'project',
  teams: 'team',
  roles: 'role',
  grants: 'grant',
  'service-accounts': 'serviceAccount',
  providers: 'ssoProvider',
  sessions: 'session',
  streams: 'auditStream',
  factors: 'factor',
  tenants: 'tenant',
}

/** The things that the path of this route names, in its order: `:id` by the folder that it stands in. */
export function namesIn({ path, at }: Walked): { parameter: string; value: string }[] {
  const parts = path.split('/')
  return parts.flatMap((part, index) => {
    if (!part.startsWith(':')) return []
    const parameter = part.slice(1)
    const thing = thingOf[parts[index - 1] ?? ''] ?? ''
    return [{ parameter, value: at[parameter] ?? (parameter === 'id' ? `:${thing}` : '') }]
  })
}
