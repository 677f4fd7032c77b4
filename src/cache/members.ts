import type { TenantId, UserId } from '#src/domain/id.ts'
import { isRole, type RoleName } from '#src/domain/role.ts'
import type { Cache } from './redis.ts'

/** Longer than an access token lives, so none outlives the memory of what has changed. */
const keptS = 11 * 60

export const memberKey = (tenantId: TenantId, userId: UserId): string => `${tenantId}:member:${userId}`

/** From now on every isolate knows that the user has left, or has another role than their token says. */
export const cacheMember = (
  cache: Cache,
  tenantId: TenantId,
  userId: UserId,
  now: RoleName | 'gone',
): Promise<unknown> => cache.set(memberKey(tenantId, userId), now, { ex: keptS })

/** What the marker says; undefined when nothing has changed lately. */
export function parseMember(value: string | null): RoleName | 'gone' | undefined {
  if (value === null) return undefined
  if (value === 'gone' || isRole(value)) return value
  return isOwnRole(value) ? value : 'gone'
}

const isOwnRole = (text: string): text is `rol_${string}` => /^rol_[0-9a-z]{26}$/.test(text)
