import type pg from 'pg'
import { grantable } from '#src/domain/access.ts'
import { permissionsOfRole, roles, type Permission, type Role } from '#src/domain/role.ts'
import { as } from '#test/support/answers.ts'
import { member, ownerOf, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import type { Init } from '#test/support/tenant.ts'
import type { Tenant, World } from '#test/support/world.ts'
import { namesIn, type Walked } from '#test/routes/walk/route.ts'

export type Ask = (path: string, init?: Init) => Promise<Response>

/** Somebody with a role and one way to show it. */
export type Caller = {
  name: string
  role: Role
  isPerson: boolean
  /** Everywhere in the tenant. */
  may: ReadonlySet<Permission>
  /** What grants could allow them besides. */
  byGrants: ReadonlySet<Permission>
  ask: Ask
}

export type Crew = { people: Record<Role, Person>; callers: Caller[] }

/** Each role with a session, a key of the tenant's that allows the same, and a key of the person's own. */
export async function crewOf(here: World, owner: pg.Client, tenant: Tenant): Promise<Crew> {
  const boss = await ownerOf(here, owner, tenant)
  const entries = await Promise.all(
    roles.map(
      async (role) => [role, role === 'owner' ? boss : await member(here, owner, tenant, role)] as const,
    ),
  )
  const people = Object.fromEntries(entries) as Record<Role, Person>
  const keyed = roles.filter((role) => permissionsOfRole(role).length > 0)
  const keys = await Promise.all(
    keyed.flatMap((role) => [
      keyOf(tenant, role, 'key', boss, '/v1/api-keys'),
      keyOf(tenant, role, 'personal key', people[role], '/v1/me/api-keys'),
    ]),
  )
  const sessions = roles.map((role): Caller => ({
    name: `${role} by session`,
    role,
    isPerson: true,
    may: new Set(permissionsOfRole(role)),
    byGrants: grantable,
    ask: as(tenant, people[role].accessToken),
  }))
  return { people, callers: [...sessions, ...keys, await former(here, owner, tenant, boss)] }
}

async function keyOf(
  tenant: Tenant,
  role: Role,
  kind: string,
  person: Person,
  path: string,
): Promise<Caller> {
  const scopes = permissionsOfRole(role)
  return {
    name: `${role} by ${kind}`,
    role,
    isPerson: false,
    may: new Set(scopes),
    byGrants: new Set(scopes.filter((one) => grantable.has(one) && one !== 'access:write')),
    ask: as(tenant, await newKey((to, init) => person.fetch(to, init), path, scopes)),
  }
}

async function newKey(ask: Ask, path: string, scopes: readonly Permission[]): Promise<string> {
  const made = await ask(path, { method: 'POST', body: { name: 'matrix', scopes } })
  return (await json<{ key: string }>(made, 201)).key
}

/** A guest has nothing to give a key: this one is of somebody who became a guest later. */
async function former(here: World, owner: pg.Client, tenant: Tenant, boss: Person): Promise<Caller> {
  const person = await member(here, owner, tenant, 'developer')
  const scopes = permissionsOfRole('developer')
  const key = await newKey((path, init) => person.fetch(path, init), '/v1/me/api-keys', scopes)
  const changed = await boss.fetch(`/v1/members/${person.userId}`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/json' },
    body: { role: 'guest' },
  })
  if (changed.status !== 200) throw new Error(`role: ${changed.status} ${await changed.text()}`)
  return {
    name: 'guest by a personal key of better days',
    role: 'guest',
    isPerson: false,
    may: new Set(),
    byGrants: new Set(scopes.filter((one) => grantable.has(one))),
    ask: as(tenant, key),
  }
}

/** What a resource must let somebody read before a refusal may say that it is there. */
const readingOf: Readonly<Record<string, Permission>> = {
  projects: 'projects:read',
  pipelines: 'pipelines:read',
  connections: 'connections:read',
  datasets: 'datasets:read',
  runs: 'runs:read',
  backfills: 'runs:read',
  alerts: 'runs:read',
  'dead-letters': 'runs:read',
}

/** The kind of the one resource that a request is judged by, and what reading it takes; none where only a role counts. */
export function judgedBy({ method, path, needs }: Walked): Permission | undefined {
  if (path === '/v1/runs' && method === 'POST') return 'pipelines:read'
  if (path.startsWith('/v1/projects/:id/resources') && needs !== 'projects:read') return 'pipelines:read'
  if (path === '/v1/grants' && method === 'POST') return 'pipelines:read'
  const [, , kind = '', id] = path.split('/')
  return id === ':id' ? readingOf[kind] : undefined
}

/** Grants are shown to everybody who could manage something, and to others as if there were none. */
const ofGrants = ({ path, method }: Walked) => path.startsWith('/v1/grants') && method !== 'POST'

const isPermission = (needs: Walked['needs']): needs is Permission => needs.includes(':')

export type Verdict = 'allowed' | 'refused' | 'hidden' | 'empty'

/** What the table of roles says of a request: that of src/domain/role.ts, and where a grant could help, whether it shows that there is something. */
export function verdictOf(caller: Caller, entry: Walked): Verdict {
  const { needs, also, by } = entry
  if (by === 'person' && !caller.isPerson) return 'refused'
  if (by === 'key' && caller.isPerson) return 'refused'
  if (needs === 'member') return 'allowed'
  if (needs === 'person')
    return caller.isPerson && also.every((one) => caller.may.has(one)) ? 'allowed' : 'refused'
  if (!isPermission(needs)) throw new Error(`${entry.path} is for anybody`)
  const lacking = [needs, ...also].filter((one) => !caller.may.has(one))
  if (lacking.length === 0) return 'allowed'
  if (ofGrants(entry)) {
    if (!caller.byGrants.has('access:write')) return 'refused'
    return namesIn(entry).length === 0 ? 'empty' : 'hidden'
  }
  if (!lacking.every((one) => caller.byGrants.has(one))) return 'refused'
  const reading = judgedBy(entry)
  if (reading !== undefined) return caller.may.has(reading) ? 'refused' : 'hidden'
  const isList = entry.method === 'GET' && namesIn(entry).length === 0 && needs.endsWith(':read')
  return isList && !roleAlone.test(entry.path) ? 'empty' : 'refused'
}

/** What belongs to the tenant as a whole, though its permission can be granted on a resource. */
const roleAlone = /^\/v1\/(calendars|channels|roles|access)(\/|$)/
