import type { Id } from './id.ts'
import { can, permissions, type Actor, type Permission } from './role.ts'

/** What a grant can be given on. */
export const grantKinds = ['project', 'pipeline', 'connection', 'dataset'] as const
export type GrantKind = (typeof grantKinds)[number]
export type ResourceId = Id<'project'> | Id<'pipeline'> | Id<'connection'> | Id<'dataset'>

/** Each includes those before it: who may edit a pipeline can have it do anything, so may run it too. */
export const levels = ['read', 'run', 'edit', 'manage'] as const
export type Level = (typeof levels)[number]

/** One resource that an action is about; what belongs to a pipeline is allowed where that is. */
export type Resource = {
  readonly kind: GrantKind | 'run' | 'backfill' | 'letter' | 'alert'
  readonly id: string
}

/** How the signed claim writes a permission: one letter, so that a policy looks for it in a short text. */
export const letterOf = {
  'tenant:read': 't',
  'tenant:write': 'T',
  'limits:write': 'L',
  'members:read': 'm',
  'members:write': 'M',
  'api-keys:read': 'k',
  'api-keys:write': 'K',
  'projects:read': 'j',
  'projects:write': 'J',
  'access:read': 'a',
  'access:write': 'A',
  'sso:read': 's',
  'sso:write': 'S',
  'scim:write': 'I',
  'audit:read': 'u',
  'usage:read': 'g',
  'privacy:write': 'V',
  'connections:read': 'c',
  'connections:write': 'C',
  'datasets:read': 'd',
  'datasets:write': 'D',
  'pipelines:read': 'p',
  'pipelines:write': 'P',
  'runs:read': 'r',
  'runs:write': 'R',
} as const satisfies Record<Permission, string>

/** What a grant of this level on this kind of resource allows there; the same table as app.grant_allows, a test compares. */
const byLevel: Record<GrantKind, Record<Level, readonly Permission[]>> = {
  project: {
    read: ['projects:read', 'connections:read', 'datasets:read', 'pipelines:read', 'runs:read'],
    run: ['runs:write'],
    edit: ['connections:write', 'datasets:write', 'pipelines:write'],
    manage: ['projects:write', 'access:write'],
  },
  pipeline: {
    read: ['pipelines:read', 'runs:read'],
    run: ['runs:write'],
    edit: ['pipelines:write'],
    manage: ['access:write'],
  },
  connection: {
    read: ['connections:read'],
    // Pipelines of theirs may work with it.
    run: ['runs:write'],
    edit: ['connections:write'],
    manage: ['access:write'],
  },
  dataset: { read: ['datasets:read'], run: [], edit: ['datasets:write'], manage: ['access:write'] },
}

/** Everything that a grant of this level allows on the resource. */
export const allowedBy = (kind: GrantKind, level: Level): Permission[] =>
  levels.slice(0, levels.indexOf(level) + 1).flatMap((one) => byLevel[kind][one])

/** What can be allowed on a single resource, and what a key that is bound to a project can do there. */
export const grantable: ReadonlySet<Permission> = new Set(allowedBy('project', 'manage'))
const bindable: ReadonlySet<Permission> = new Set(allowedBy('project', 'edit'))

const lettersOf = (some: Iterable<Permission>): string => Array.from(some, (one) => letterOf[one]).join('')
const everything = lettersOf(permissions)
const everyGrant = lettersOf(grantable)

/**
 * The scope of a claim, `wide:bound:project:granted:subject`: what the actor may do in the whole tenant; what in which
 * project; and what grants may allow, to whom (to the claim's own actor when it is left out). See app.may, app.bound
 * and app.reach.
 */
export const accessOfJobs = `${everything}::::`

const kept = new WeakMap<Actor, string>()

/** The scope that a claim of this actor carries. */
export function accessOf(actor: Actor): string {
  let access = kept.get(actor)
  if (access === undefined) kept.set(actor, (access = written(actor)))
  return access
}

function written(actor: Actor): string {
  if (actor.kind === 'job') return accessOfJobs
  const wide = lettersOf(permissions.filter((one) => can(actor, one)))
  if (actor.kind === 'user') return `${wide}:::${everyGrant}:`
  if (actor.projectId !== undefined)
    return `:${lettersOf(actor.scopes.filter((one) => bindable.has(one)))}:${actor.projectId}::`
  const { owner = '', asked = [] } = actor
  if (!owner.startsWith('usr_')) return `${wide}::::`
  return `${wide}:::${lettersOf(asked.filter((one) => grantable.has(one) && one !== 'access:write'))}:${owner}`
}

/** The same scope without what the actor may do in the whole tenant: what is left is what grants and a key's project allow. */
export const narrowed = (access: string): string => access.slice(access.indexOf(':'))

/** How an actor could come to do what it may not do everywhere: in its project, by a grant, or not at all. */
export function otherWay(actor: Actor, wanted: Permission): 'project' | 'grant' | undefined {
  if (actor.kind === 'user') return grantable.has(wanted) ? 'grant' : undefined
  if (actor.kind === 'job') return undefined
  if (actor.projectId !== undefined)
    return bindable.has(wanted) && actor.scopes.includes(wanted) ? 'project' : undefined
  const granted = grantable.has(wanted) && wanted !== 'access:write' && actor.asked?.includes(wanted)
  return granted && actor.owner?.startsWith('usr_') ? 'grant' : undefined
}
