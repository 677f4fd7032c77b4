import type { Id, ProjectId, TenantId, UserId } from './id.ts'
import type { Permission } from './role.ts'

/** Whose a key is: a person's, or a service account's. */
export type KeyOwner = UserId | Id<'serviceAccount'>

/** What a request with the key needs to know of it. `role` is its owner's at the time when it was read. */
export type KnownApiKey = {
  readonly tenantId: TenantId
  readonly keyId: Id<'apiKey'>
  readonly owner: KeyOwner
  readonly role: string
  readonly scopes: readonly Permission[]
  readonly projectId?: ProjectId
  /** Ranges of addresses; empty ones let every address in. */
  readonly ipAllow: readonly string[]
  readonly expiresAt?: Date
}

/** Whether the owner is a person. */
export const isPerson = (owner: KeyOwner): owner is UserId => owner.startsWith('usr_')
