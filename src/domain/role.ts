import * as z from 'zod'
import type { Id, UserId } from './id.ts'

export const roles = ['owner', 'admin', 'developer', 'analyst', 'operator', 'viewer'] as const
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

const granted = {
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
} as const satisfies Record<Role, readonly Permission[]>

const grantedTo: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  owner: new Set(granted.owner),
  admin: new Set(granted.admin),
  developer: new Set(granted.developer),
  analyst: new Set(granted.analyst),
  operator: new Set(granted.operator),
  viewer: new Set(granted.viewer),
}

export type Actor =
  | { readonly kind: 'user'; readonly userId: UserId; readonly role: Role; readonly sessionId: Id<'session'> }
  | { readonly kind: 'api-key'; readonly keyId: Id<'apiKey'>; readonly scopes: readonly Permission[] }
  | { readonly kind: 'job'; readonly job: string }

/** Whether the actor may do it: a user by role, a key by its scopes; a job carries on what was allowed before. */
export function can(actor: Actor, wanted: Permission): boolean {
  switch (actor.kind) {
    case 'user':
      return grantedTo[actor.role].has(wanted)
    case 'api-key':
      return actor.scopes.includes(wanted)
    case 'job':
      return true
  }
}

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
