import * as z from 'zod'
import { ids, type Id, type UserId } from './id.ts'

/** Those that come with Weir. A guest may do nothing tenant-wide: only what grants allow. */
export const roles = ['owner', 'admin', 'developer', 'analyst', 'operator', 'viewer', 'guest'] as const
export type Role = (typeof roles)[number]

/**
 * What can be allowed. `runs:write` starts, stops, repeats and marks runs; `limits:write` says how many may be at work at
 * once; `access:write` changes roles and grants; `connections:read` never shows a secret.
 */
export const permissions = [
  'tenant:read',
  'tenant:write',
  'limits:write',
  'members:read',
  'members:write',
  'api-keys:read',
  'api-keys:write',
  'projects:read',
  'projects:write',
  'access:read',
  'access:write',
  'sso:read',
  'sso:write',
  'scim:write',
  'audit:read',
  'usage:read',
  'privacy:write',
  'connections:read',
  'connections:write',
  'datasets:read',
  'datasets:write',
  'pipelines:read',
  'pipelines:write',
  'runs:read',
  'runs:write',
] as const
export type Permission = (typeof permissions)[number]
export const permission = z.enum(permissions)

const reading = [
  'tenant:read',
  'projects:read',
  'connections:read',
  'datasets:read',
  'pipelines:read',
  'runs:read',
] as const

/** Role × resource × action: the table that every decision reads. */
export const granted = {
  owner: permissions,
  admin: permissions.filter((one) => one !== 'tenant:write' && one !== 'privacy:write'),
  developer: [
    ...reading,
    'members:read',
    'api-keys:read',
    'connections:write',
    'datasets:write',
    'pipelines:write',
    'runs:write',
  ],
  analyst: [...reading, 'datasets:write'],
  operator: [...reading, 'runs:write'],
  viewer: reading,
  guest: [],
} as const satisfies Record<Role, readonly Permission[]>

const grantedTo: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  owner: new Set(granted.owner),
  admin: new Set(granted.admin),
  developer: new Set(granted.developer),
  analyst: new Set(granted.analyst),
  operator: new Set(granted.operator),
  viewer: new Set(granted.viewer),
  guest: new Set(granted.guest),
}

export type Actor =
  | {
      readonly kind: 'user'
      readonly userId: UserId
      readonly role: RoleName
      /** What the role allows when it is one of the tenant's own. */
      readonly custom?: readonly Permission[]
      readonly sessionId: Id<'session'>
    }
  | {
      readonly kind: 'api-key'
      readonly keyId: Id<'apiKey'>
      /** What the key was given and its owner may do now. */
      readonly scopes: readonly Permission[]
      readonly owner?: UserId | Id<'serviceAccount'>
      /** Its owner's. */
      readonly role?: string
      /** What the key was given, whatever its owner's role: what it may do where the owner's grants allow it. */
      readonly asked?: readonly Permission[]
      /** The one project that it sees. */
      readonly projectId?: Id<'project'>
    }
  | { readonly kind: 'job'; readonly job: string }

/**
 * Whether the actor may do it everywhere in the tenant: a user by role, a key by its scopes unless it is bound to a
 * project; a job carries on what was allowed before.
 */
export function can(actor: Actor, wanted: Permission): boolean {
  switch (actor.kind) {
    case 'user':
      return isRole(actor.role)
        ? grantedTo[actor.role].has(wanted)
        : (actor.custom?.includes(wanted) ?? false)
    case 'api-key':
      return actor.projectId === undefined && actor.scopes.includes(wanted)
    case 'job':
      return true
  }
}

/** What a role allows: one of ours, or one of the tenant's own; one that is unknown allows nothing. */
export const permissionsOfRole = (
  role: string,
  own: Readonly<Record<string, readonly Permission[]>> = {},
): readonly Permission[] => (isRole(role) ? granted[role] : (own[role] ?? []))

export const isRole = (text: string): text is Role => Object.hasOwn(granted, text)
export type RoleName = Role | Id<'role'>
/** A role of ours, or the id of one of the tenant's own. */
export const roleName = z.union([z.enum(roles), ids.role])

export const permissionsOf = (actor: Actor): Permission[] => permissions.filter((one) => can(actor, one))

/** How the actor is written into the signed claim, audit rows and logs. */
export function actorName(actor: Actor): string {
  switch (actor.kind) {
    case 'user':
      return actor.userId
    case 'api-key':
      return actor.keyId
    case 'job':
      return `job:${actor.job}`
  }
}

const permissionSet: ReadonlySet<string> = new Set(permissions)
export const isPermission = (text: string): text is Permission => permissionSet.has(text)
